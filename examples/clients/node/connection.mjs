// TLS with the authority of the installation, and its token with every call.
import path from 'node:path';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

export function connect(protoDir, { address, ca, token }) {
  const file = path.join(protoDir, 'xisuan', 'workload', 'v1', 'workload_service.proto');
  const kept = { includeDirs: [protoDir], longs: Number, enums: String, defaults: true, oneofs: true };
  const { xisuan } = grpc.loadPackageDefinition(loader.loadSync(file, kept));
  const bearer = grpc.credentials.createFromMetadataGenerator((_, done) => {
    const metadata = new grpc.Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    done(null, metadata);
  });
  const secure = grpc.credentials.combineChannelCredentials(grpc.credentials.createSsl(ca), bearer);
  return new xisuan.workload.v1.WorkloadService(address, secure, { 'grpc.max_receive_message_length': -1 });
}
