// An administrator in Go on the SPIRE project's own API: it dials the server at the address given with the X.509-SVID that its agent gives it, and
// calls what standard input says (package ask).
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"espalier/test/peers/go/ask"

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
)

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

	return ask.Converse(ctx, conn, os.Stdin, os.Stdout)
}
