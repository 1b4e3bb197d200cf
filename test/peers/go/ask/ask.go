// Package ask makes the calls that its input says, one JSON object a line: {"method": "/package.Service/Method", "request": {…}}, and tells what came
// back, one line for each; of a stream, its first message. The program that uses it imports the services that may be called.
package ask

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const patience = 30 * time.Second

type question struct {
	Method  string          `json:"method"`
	Request json.RawMessage `json:"request"`
}

type answer struct {
	Code     string          `json:"code"`
	Message  string          `json:"message"`
	Response json.RawMessage `json:"response,omitempty"`
}

// Converse answers until the input ends.
func Converse(ctx context.Context, conn *grpc.ClientConn, in io.Reader, to io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	out := json.NewEncoder(to)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return err
		}
		said, err := call(ctx, conn, asked)
		if err != nil {
			return fmt.Errorf("%s: %w", asked.Method, err)
		}
		if err := out.Encode(said); err != nil {
			return err
		}
	}
	return lines.Err()
}

// A status is an answer; an error is a question that cannot be asked.
func call(ctx context.Context, conn *grpc.ClientConn, asked question) (answer, error) {
	request, response, isStream, err := messages(asked.Method)
	if err != nil {
		return answer{}, err
	}
	if err := protojson.Unmarshal(asked.Request, request); err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	invoke := conn.Invoke
	if isStream {
		invoke = func(ctx context.Context, method string, request, response any, _ ...grpc.CallOption) error {
			return first(ctx, conn, method, request, response)
		}
	}
	if err := invoke(ctx, asked.Method, request, response); err != nil {
		refused := status.Convert(err)
		return answer{Code: refused.Code().String(), Message: refused.Message()}, nil
	}
	encoded, err := protojson.Marshal(response)
	if err != nil {
		return answer{}, err
	}
	return answer{Code: "OK", Response: encoded}, nil
}

// The first message of a stream, which is then given up.
func first(ctx context.Context, conn *grpc.ClientConn, method string, request, response any) error {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(request); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(response)
}

func messages(method string) (proto.Message, proto.Message, bool, error) {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, nil, false, err
	}
	found := descriptor.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(name))
	if found == nil {
		return nil, nil, false, fmt.Errorf("%s has no method %s", service, name)
	}
	request, err := protoregistry.GlobalTypes.FindMessageByName(found.Input().FullName())
	if err != nil {
		return nil, nil, false, err
	}
	response, err := protoregistry.GlobalTypes.FindMessageByName(found.Output().FullName())
	if err != nil {
		return nil, nil, false, err
	}
	return request.New().Interface(), response.New().Interface(), found.IsStreamingServer(), nil
}
