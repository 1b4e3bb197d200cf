package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// An answer without what chance put into it.
type description struct {
	Version string       `json:"version"`
	TypeURL string       `json:"typeUrl"`
	Nonce   string       `json:"nonce"`
	Secrets []secretView `json:"secrets"`
	serial  string
}

type secretView struct {
	Name string `json:"name"`
	// Of a certificate: whose it is, and how many there are in its chain. Its key fits.
	ID    string `json:"id,omitempty"`
	Chain int    `json:"chain,omitempty"`
	// Of a validation context: how many roots, by trust domain where Envoy's SPIFFE validator judges.
	Roots        int            `json:"roots,omitempty"`
	Validator    string         `json:"validator,omitempty"`
	TrustDomains map[string]int `json:"trustDomains,omitempty"`
}

var nonce = regexp.MustCompile(`^[0-9a-f]{8}$`)

func describe(response *discovery.DiscoveryResponse) (*description, error) {
	described := &description{Version: response.VersionInfo, TypeURL: response.TypeUrl, Nonce: response.Nonce}
	if nonce.MatchString(response.Nonce) {
		described.Nonce = "8 digits"
	}
	for _, resource := range response.Resources {
		var secret tlsv3.Secret
		if err := resource.UnmarshalTo(&secret); err != nil {
			return nil, err
		}
		if err := secret.ValidateAll(); err != nil {
			return nil, fmt.Errorf("Envoy would not take %q: %w", secret.Name, err)
		}
		view, serial, err := viewOf(&secret)
		if err != nil {
			return nil, fmt.Errorf("secret %q: %w", secret.Name, err)
		}
		described.Secrets = append(described.Secrets, view)
		if serial != "" {
			described.serial = serial
		}
	}
	return described, nil
}

func viewOf(secret *tlsv3.Secret) (secretView, string, error) {
	view := secretView{Name: secret.Name}
	if certificate := secret.GetTlsCertificate(); certificate != nil {
		pair, err := tls.X509KeyPair(certificate.CertificateChain.GetInlineBytes(), certificate.PrivateKey.GetInlineBytes())
		if err != nil {
			return view, "", err
		}
		view.ID, view.Chain = pair.Leaf.URIs[0].String(), len(pair.Certificate)
		return view, pair.Leaf.SerialNumber.String(), nil
	}
	context := secret.GetValidationContext()
	if context == nil {
		return view, "", errors.New("neither certificate nor validation context")
	}
	if custom := context.CustomValidatorConfig; custom != nil {
		view.Validator = custom.Name
		return view, "", readTrustDomains(custom.TypedConfig, &view)
	}
	var err error
	view.Roots, err = countRoots(context.TrustedCa.GetInlineBytes())
	return view, "", err
}

func readTrustDomains(config *anypb.Any, view *secretView) error {
	var validator tlsv3.SPIFFECertValidatorConfig
	if err := config.UnmarshalTo(&validator); err != nil {
		return err
	}
	if err := validator.ValidateAll(); err != nil {
		return err
	}
	view.TrustDomains = map[string]int{}
	for _, trustDomain := range validator.TrustDomains {
		roots, err := countRoots(trustDomain.TrustBundle.GetInlineBytes())
		if err != nil {
			return err
		}
		view.TrustDomains[trustDomain.Name] = roots
	}
	return nil
}

func countRoots(text []byte) (int, error) {
	count := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return 0, err
		}
		count++
	}
	return count, nil
}
