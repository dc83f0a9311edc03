// Errors as the contract wants them: a code, one line, and the reason that programs match on (google.rpc.ErrorInfo).
import grpc from '@grpc/grpc-js';

// The three messages of google.rpc that are needed, written by hand: a field is (number << 3 | type), then its value.
const varint = (number) => {
  const bytes = [];
  for (; number > 127; number = Math.floor(number / 128)) bytes.push((number % 128) | 128);
  return Buffer.from([...bytes, number]);
};
const bytesField = (number, value) => {
  const body = Buffer.from(value);
  return Buffer.concat([varint((number << 3) | 2), varint(body.length), body]);
};

/** The failure of a whole call. `reason` is STALE_EPOCH, CURSOR_EXPIRED, or empty. */
export function failure(code, message, reason = '') {
  const error = new Error(message);
  error.code = code;
  error.details = message;
  if (reason) {
    const info = Buffer.concat([bytesField(1, reason), bytesField(2, 'xisuan')]);
    const any = Buffer.concat([bytesField(1, 'type.googleapis.com/google.rpc.ErrorInfo'), bytesField(2, info)]);
    const status = Buffer.concat([varint(8), varint(code), bytesField(2, message), bytesField(3, any)]);
    error.metadata = new grpc.Metadata();
    error.metadata.set('grpc-status-details-bin', status);
  }
  return error;
}

/** The refusal of one item of a batch. */
export class Refused extends Error {
  constructor(code, message, retryable = false) {
    super(message);
    this.item = { code, message, retryable };
  }
}
