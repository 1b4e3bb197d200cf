// The SPIFFE project's own federation package at both ends of a bundle endpoint: it fetches and watches one, and serves one.
// Bundles are printed as the package itself writes them, one document a line; a refusal is one line on standard error and exit code 1.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

const usage = `usage: federation fetch|watch <trust domain> <url> web <roots.pem>
       federation fetch|watch <trust domain> <url> spiffe <endpoint SPIFFE ID> <bundle.pem>
       federation serve <trust domain> <bundle.json> web|spiffe <certificate.pem> <key.pem>`

const patience = 30 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 5 {
		return errors.New(usage)
	}
	trustDomain, err := spiffeid.TrustDomainFromString(args[1])
	if err != nil {
		return err
	}
	if args[0] == "serve" && len(args) == 6 {
		return serve(trustDomain, args[2], args[3], args[4], args[5])
	}
	authentication, err := parseAuthentication(args[3:])
	if err != nil {
		return err
	}
	switch args[0] {
	case "fetch":
		return fetch(trustDomain, args[2], authentication)
	case "watch":
		return watch(trustDomain, args[2], authentication)
	}
	return errors.New(usage)
}

// How the endpoint is judged.
func parseAuthentication(args []string) (federation.FetchOption, error) {
	switch {
	case args[0] == "web" && len(args) == 2:
		pem, err := os.ReadFile(args[1])
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("no certificate in %s", args[1])
		}
		return federation.WithWebPKIRoots(roots), nil
	case args[0] == "spiffe" && len(args) == 3:
		id, err := spiffeid.FromString(args[1])
		if err != nil {
			return nil, err
		}
		bundle, err := x509bundle.Load(id.TrustDomain(), args[2])
		if err != nil {
			return nil, err
		}
		return federation.WithSPIFFEAuth(bundle, id), nil
	}
	return nil, errors.New(usage)
}

func fetch(trustDomain spiffeid.TrustDomain, url string, authentication federation.FetchOption) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	bundle, err := federation.FetchBundle(ctx, trustDomain, url, authentication)
	if err != nil {
		return err
	}
	return printBundle(bundle)
}

// Prints each bundle that is another one than before, until standard input ends.
func watch(trustDomain spiffeid.TrustDomain, url string, authentication federation.FetchOption) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	err := federation.WatchBundle(ctx, trustDomain, url, printer{}, authentication)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

type printer struct{}

// The endpoint's own wish is minutes; a test has no minutes.
func (printer) NextRefresh(time.Duration) time.Duration { return 200 * time.Millisecond }

func (printer) OnUpdate(bundle *spiffebundle.Bundle) {
	if err := printBundle(bundle); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func (printer) OnError(err error) { fmt.Fprintln(os.Stderr, err) }

func printBundle(bundle *spiffebundle.Bundle) error {
	document, err := bundle.Marshal()
	if err != nil {
		return err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, document); err != nil {
		return err
	}
	_, err = fmt.Println(line.String())
	return err
}

// Reads the bundle anew for each request.
type file struct {
	trustDomain spiffeid.TrustDomain
	path        string
}

func (f file) GetBundleForTrustDomain(trustDomain spiffeid.TrustDomain) (*spiffebundle.Bundle, error) {
	if trustDomain != f.trustDomain {
		return nil, fmt.Errorf("no bundle of %s", trustDomain)
	}
	return spiffebundle.Load(trustDomain, f.path)
}

// On a port of the system's choice, which it prints first, until standard input ends.
func serve(trustDomain spiffeid.TrustDomain, bundlePath, profile, certificatePath, keyPath string) error {
	config, err := servingConfig(profile, certificatePath, keyPath)
	if err != nil {
		return err
	}
	handler, err := federation.NewHandler(trustDomain, file{trustDomain, bundlePath})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{TLSConfig: config, Handler: handler}
	fmt.Printf("listening on %s\n", listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if err := server.ServeTLS(listener, "", ""); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func servingConfig(profile, certificatePath, keyPath string) (*tls.Config, error) {
	if profile == "spiffe" {
		svid, err := x509svid.Load(certificatePath, keyPath)
		if err != nil {
			return nil, err
		}
		return tlsconfig.TLSServerConfig(svid), nil
	}
	pair, err := tls.LoadX509KeyPair(certificatePath, keyPath)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
