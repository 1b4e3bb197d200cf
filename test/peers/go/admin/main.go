// An administrator in Go on the SPIRE project's own API: it dials the server at the address given with the X.509-SVID that its agent gives it, and
// calls what standard input says, one JSON object a line: {"method": "/package.Service/Method", "request": {…}}. What came back is one line for each.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/agent/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/bundle/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/debug/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/entry/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/localauthority/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/logger/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/svid/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/trustdomain/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
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

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: admin <address> <SPIFFE ID of the server>")
	}
	ctx := context.Background()
	server, err := spiffeid.FromString(args[1])
	if err != nil {
		return err
	}
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return fmt.Errorf("X.509 source: %w", err)
	}
	defer source.Close()
	tls := credentials.NewTLS(tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(server)))
	conn, err := grpc.NewClient(args[0], grpc.WithTransportCredentials(tls))
	if err != nil {
		return err
	}
	defer conn.Close()

	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return err
		}
		said, err := ask(ctx, conn, asked)
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
func ask(ctx context.Context, conn *grpc.ClientConn, asked question) (answer, error) {
	request, response, err := messages(asked.Method)
	if err != nil {
		return answer{}, err
	}
	if err := protojson.Unmarshal(asked.Request, request); err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := conn.Invoke(ctx, asked.Method, request, response); err != nil {
		refused := status.Convert(err)
		return answer{Code: refused.Code().String(), Message: refused.Message()}, nil
	}
	encoded, err := protojson.Marshal(response)
	if err != nil {
		return answer{}, err
	}
	return answer{Code: "OK", Response: encoded}, nil
}

func messages(method string) (proto.Message, proto.Message, error) {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, nil, err
	}
	found := descriptor.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(name))
	if found == nil {
		return nil, nil, fmt.Errorf("%s has no method %s", service, name)
	}
	request, err := protoregistry.GlobalTypes.FindMessageByName(found.Input().FullName())
	if err != nil {
		return nil, nil, err
	}
	response, err := protoregistry.GlobalTypes.FindMessageByName(found.Output().FullName())
	if err != nil {
		return nil, nil, err
	}
	return request.New().Interface(), response.New().Interface(), nil
}
