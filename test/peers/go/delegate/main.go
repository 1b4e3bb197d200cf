// A delegate in Go on the SPIRE project's own API: it dials the admin socket of an agent and calls what standard input says (package ask). Who it is to
// the agent, its path says.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"espalier/test/peers/go/ask"

	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/agent/debug/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/agent/delegatedidentity/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/agent/logger/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: delegate <admin socket>")
	}
	conn, err := grpc.NewClient("unix:"+args[0], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	return ask.Converse(context.Background(), conn, os.Stdin, os.Stdout)
}
