package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// What the server tells an admitted caller.
type greeting struct {
	Server string `json:"server"`
	Caller string `json:"caller"`
}

// What the caller saw.
type called struct {
	Self      string `json:"self"`
	Peer      string `json:"peer"`
	PeerChain string `json:"peerChain"`
	SeenAs    string `json:"seenAs"`
}

// Serves one allowed ID on a port of the system's choice, which it prints first, until standard input ends. Refused handshakes go to standard error.
func serve(ctx context.Context, allowedText string) error {
	allowed, err := spiffeid.FromString(allowedText)
	if err != nil {
		return err
	}
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return fmt.Errorf("X.509 source: %w", err)
	}
	defer source.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{
		TLSConfig: tlsconfig.MTLSServerConfig(source, source, tlsconfig.AuthorizeID(allowed)),
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { greet(source, w, r) }),
		ErrorLog:  log.New(os.Stderr, "", 0),
	}
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

func greet(source *workloadapi.X509Source, w http.ResponseWriter, r *http.Request) {
	own, err := source.GetX509SVID()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	caller, err := x509svid.IDFromCert(r.TLS.PeerCertificates[0])
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_ = json.NewEncoder(w).Encode(greeting{Server: own.ID.String(), Caller: caller.String()})
}

// Calls a server that must be the expected ID, over a connection of its own.
func call(ctx context.Context, address, expectedText string) error {
	expected, err := spiffeid.FromString(expectedText)
	if err != nil {
		return err
	}
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return fmt.Errorf("X.509 source: %w", err)
	}
	defer source.Close()
	own, err := source.GetX509SVID()
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(expected)),
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("call %s: %w", address, err)
	}
	defer response.Body.Close()
	var answer greeting
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("answer of %s: %w", address, err)
	}
	peers := response.TLS.PeerCertificates
	peer, err := x509svid.IDFromCert(peers[0])
	if err != nil {
		return err
	}
	return printJSON(called{Self: own.ID.String(), Peer: peer.String(), PeerChain: toPEM(peers), SeenAs: answer.Caller})
}
