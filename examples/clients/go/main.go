// A system that submits a batch and follows it to its end, in Go. It knows nothing of Xisuan but proto/;
// docs/workloads.md has the commands that make its stubs.
package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "xisuan/common/v1"
	workloadv1 "xisuan/workload/v1"
)

// bearer sends the token with every call, over TLS only.
type bearer string

func (token bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(token)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

func main() {
	home := flag.String("home", ".xisuan", "of a service on this machine: address, authority and token are read from it")
	queue := flag.String("queue", "demo/go", "the queue that is charged")
	batch := flag.String("batch", fmt.Sprint(time.Now().Unix()), "the same batch again finds what was accepted before")
	jobs := flag.Int("jobs", 10, "how many")
	flag.Parse()

	service := workloadv1.NewWorkloadServiceClient(connect(*home))
	ctx := context.Background()
	cursor := beginning(ctx, service) // before submitting, so that no change can come in between

	var specs []*workloadv1.WorkloadSpec
	for number := range *jobs {
		specs = append(specs, &workloadv1.WorkloadSpec{
			Queue:     *queue,
			ClientKey: fmt.Sprintf("%s-%d", *batch, number),
			Requirements: &workloadv1.Requirements{
				PerTask: &commonv1.Resources{CpuMilli: 100, MemoryBytes: 64 << 20},
			},
			Program:          &workloadv1.Program{Command: []string{"echo", fmt.Sprint("from Go ", number)}},
			EstimatedRuntime: durationpb.New(2 * time.Second),
			MaxRuntime:       durationpb.New(time.Minute),
		})
	}
	open := submit(ctx, service, specs)
	fmt.Println("accepted", len(open))
	for id, state := range follow(ctx, service, open, cursor) {
		fmt.Println(id, state)
	}
}

func connect(home string) *grpc.ClientConn {
	var endpoint struct{ Address string }
	check(json.Unmarshal(read(home, "endpoint.json"), &endpoint))
	authority := x509.NewCertPool()
	authority.AppendCertsFromPEM(read(home, "access/ca.pem"))
	token := bearer(strings.TrimSpace(string(read(home, "access/administrator.token"))))
	channel, err := grpc.NewClient(endpoint.Address,
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(authority, "")),
		grpc.WithPerRPCCredentials(token))
	check(err)
	return channel
}

// submit returns the ids of what was accepted. Items that the service has no room for come again when it said so.
func submit(ctx context.Context, service workloadv1.WorkloadServiceClient, specs []*workloadv1.WorkloadSpec) map[string]bool {
	ids := map[string]bool{}
	for len(specs) > 0 {
		answer, err := service.SubmitBatch(ctx, &workloadv1.SubmitBatchRequest{Workloads: specs})
		if err != nil {
			pause(err)
			continue // by their keys, nothing is submitted twice
		}
		var again []*workloadv1.WorkloadSpec
		var wait int64
		for position, result := range answer.Results {
			if refused := result.GetError(); refused == nil {
				ids[result.GetAccepted().Workload.WorkloadId] = true
			} else if refused.Retryable {
				again, wait = append(again, specs[position]), max(wait, refused.RetryAfterMs)
			} else {
				log.Fatalf("%s: %s", specs[position].ClientKey, refused.Message)
			}
		}
		specs = again
		time.Sleep(time.Duration(wait) * time.Millisecond)
	}
	return ids
}

// beginning is the present cursor: the first message of a watch without one.
func beginning(ctx context.Context, service workloadv1.WorkloadServiceClient) string {
	for {
		begun, cancel := context.WithCancel(ctx)
		stream, err := service.Watch(begun, &workloadv1.WatchRequest{})
		if err == nil {
			var first *workloadv1.WatchResponse
			if first, err = stream.Recv(); err == nil {
				cancel()
				return first.Cursor
			}
		}
		cancel()
		pause(err)
	}
}

// follow returns the final states. A stream that breaks goes on after the last message that was heard.
func follow(
	ctx context.Context, service workloadv1.WorkloadServiceClient, open map[string]bool, cursor string,
) map[string]workloadv1.WorkloadState {
	var ids []string
	ends := map[string]workloadv1.WorkloadState{}
	for id := range open {
		ids = append(ids, id)
		// What was known by its key may have ended before this watch began.
		if known, err := service.Get(ctx, &workloadv1.GetRequest{WorkloadId: id}); err == nil && isFinal(known.Workload.State) {
			ends[id] = known.Workload.State
		}
	}
	watched, cancel := context.WithCancel(ctx)
	defer cancel()
	for len(ends) < len(ids) {
		stream, err := service.Watch(watched, &workloadv1.WatchRequest{WorkloadIds: ids, Cursor: cursor})
		for err == nil && len(ends) < len(ids) {
			var heard *workloadv1.WatchResponse
			if heard, err = stream.Recv(); err == nil {
				cursor = heard.Cursor
				for _, change := range heard.Changes {
					if isFinal(change.State) {
						ends[change.WorkloadId] = change.State
					}
				}
			}
		}
		if err != nil {
			pause(err)
		}
	}
	return ends
}

func isFinal(state workloadv1.WorkloadState) bool {
	return state >= workloadv1.WorkloadState_WORKLOAD_STATE_SUCCEEDED
}

// pause waits as long as the service asks (google.rpc.RetryInfo), where the same call may succeed later; else it ends here.
func pause(err error) {
	failure := status.Convert(err)
	if failure.Code() != codes.Unavailable && failure.Code() != codes.ResourceExhausted {
		for _, detail := range failure.Details() {
			if request, ok := detail.(*errdetails.BadRequest); ok {
				for _, one := range request.FieldViolations {
					log.Printf("%s: %s", one.Field, one.Description)
				}
			}
		}
		log.Fatal(err)
	}
	delay := 500 * time.Millisecond
	for _, detail := range failure.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			delay = retry.RetryDelay.AsDuration()
		}
	}
	time.Sleep(delay)
}

func read(parts ...string) []byte {
	content, err := os.ReadFile(filepath.Join(parts...))
	check(err)
	return content
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
