// What an Envoy does with its agent's secret discovery service, told line by line: each line of standard input is one command in JSON,
// each answer one line of JSON on standard output. What differs each time (keys, times, nonces) is judged here and not printed.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secret "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	typeURL  = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
	patience = 30 * time.Second
)

// One thing to do. Exactly one of the first group is set.
type command struct {
	Ask   []string `json:"ask"`   // subscribe to these names, and wait for the answer
	Fetch []string `json:"fetch"` // ask for these names once, without a stream
	Nack  string   `json:"nack"`  // reject the last answer
	// Acknowledge what comes until the certificate is another one.
	Rotated bool `json:"rotated"`
	Delta   bool `json:"delta"`
	End     bool `json:"end"` // close the stream

	Envoy    [2]uint32      `json:"envoy"` // its version; none where left out
	Metadata map[string]any `json:"metadata"`
}

type envoy struct {
	client secret.SecretDiscoveryServiceClient
	stream secret.SecretDiscoveryService_StreamSecretsClient
	cancel context.CancelFunc
	names  []string
	last   *discovery.DiscoveryResponse
	serial string
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: envoy <socket>")
		os.Exit(1)
	}
	connection, err := grpc.NewClient("unix:"+os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	e := &envoy{client: secret.NewSecretDiscoveryServiceClient(connection)}
	lines := bufio.NewScanner(os.Stdin)
	output := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		answer, err := e.obey(c)
		if err != nil {
			e.forget()
			answer = refusal{Code: grpcstatus.Code(err).String(), Message: grpcstatus.Convert(err).Message()}
		}
		if err := output.Encode(answer); err != nil {
			os.Exit(1)
		}
	}
}

type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *envoy) obey(c command) (any, error) {
	switch {
	case c.Fetch != nil:
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		response, err := e.client.FetchSecrets(ctx, &discovery.DiscoveryRequest{TypeUrl: typeURL, ResourceNames: c.Fetch, Node: nodeOf(c)})
		if err != nil {
			return nil, err
		}
		return describe(response)
	case c.Ask != nil:
		return e.subscribe(c)
	case c.Nack != "":
		return "rejected", e.reply("", &status.Status{Code: int32(codes.Internal), Message: c.Nack})
	case c.Rotated:
		return e.awaitRotation()
	case c.Delta:
		return e.delta()
	case c.End:
		return e.end()
	}
	return nil, errors.New("no command")
}

func nodeOf(c command) *core.Node {
	node := &core.Node{Id: "test"}
	if c.Envoy != [2]uint32{} {
		version := &typev3.SemanticVersion{MajorNumber: c.Envoy[0], MinorNumber: c.Envoy[1]}
		node.UserAgentVersionType = &core.Node_UserAgentBuildVersion{UserAgentBuildVersion: &core.BuildVersion{Version: version}}
	}
	if c.Metadata != nil {
		// What came as JSON is a struct.
		node.Metadata, _ = structpb.NewStruct(c.Metadata)
	}
	return node
}

// Opens a stream where there is none; on an open one, the request acknowledges the last answer as well.
func (e *envoy) subscribe(c command) (any, error) {
	request := &discovery.DiscoveryRequest{TypeUrl: typeURL, ResourceNames: c.Ask}
	if e.stream == nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		stream, err := e.client.StreamSecrets(ctx)
		if err != nil {
			cancel()
			return nil, err
		}
		e.stream, e.cancel = stream, cancel
		request.Node = nodeOf(c) // only the first request of a stream says who asks
	} else {
		request.VersionInfo, request.ResponseNonce = e.last.VersionInfo, e.last.Nonce
	}
	e.names = c.Ask
	if err := e.stream.Send(request); err != nil {
		return nil, err
	}
	return e.receive()
}

func (e *envoy) receive() (any, error) {
	response, err := e.stream.Recv()
	if err != nil {
		return nil, err
	}
	e.last = response
	described, err := describe(response)
	if err == nil && described.serial != "" {
		e.serial = described.serial
	}
	return described, err
}

func (e *envoy) reply(version string, detail *status.Status) error {
	return e.stream.Send(&discovery.DiscoveryRequest{
		TypeUrl: typeURL, ResourceNames: e.names, VersionInfo: version, ResponseNonce: e.last.Nonce, ErrorDetail: detail,
	})
}

func (e *envoy) awaitRotation() (any, error) {
	before := e.serial
	for {
		if err := e.reply(e.last.VersionInfo, nil); err != nil {
			return nil, err
		}
		answer, err := e.receive()
		if err != nil {
			return nil, err
		}
		if e.serial != before {
			described := answer.(*description)
			described.Version = "later"
			return described, nil
		}
	}
}

func (e *envoy) delta() (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := e.client.DeltaSecrets(ctx)
	if err != nil {
		return nil, err
	}
	return stream.Recv()
}

func (e *envoy) end() (any, error) {
	if err := e.stream.CloseSend(); err != nil {
		return nil, err
	}
	for {
		_, err := e.stream.Recv()
		if errors.Is(err, io.EOF) {
			e.forget()
			return "ended", nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (e *envoy) forget() {
	if e.cancel != nil {
		e.cancel()
	}
	e.stream, e.cancel, e.last = nil, nil, nil
}
