package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// What one workload learned about itself.
type fetched struct {
	ID          string   `json:"id"`
	Chain       string   `json:"chain"`
	Bundle      string   `json:"bundle"`
	VerifiedID  string   `json:"verifiedId"`
	JwtID       string   `json:"jwtId"`
	JwtAudience []string `json:"jwtAudience"`
	JwtKeys     int      `json:"jwtKeys"`
	ValidatedID string   `json:"validatedId"`
	OtherError  string   `json:"otherAudience"`
}

// Fetches both kinds of SVID and of bundle, and verifies both SVIDs here and the JWT at the agent as well.
func fetch(ctx context.Context, audience string) error {
	client, err := workloadapi.New(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer client.Close()

	x509Context, err := client.FetchX509Context(ctx)
	if err != nil {
		return fmt.Errorf("fetch X.509 context: %w", err)
	}
	svid := x509Context.DefaultSVID()
	bundle, err := x509Context.Bundles.GetX509BundleForTrustDomain(svid.ID.TrustDomain())
	if err != nil {
		return fmt.Errorf("own bundle: %w", err)
	}
	verifiedID, _, err := x509svid.Verify(svid.Certificates, x509Context.Bundles)
	if err != nil {
		return fmt.Errorf("verify own X.509-SVID: %w", err)
	}

	token, err := client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		return fmt.Errorf("fetch JWT-SVID: %w", err)
	}
	jwtBundles, err := client.FetchJWTBundles(ctx)
	if err != nil {
		return fmt.Errorf("fetch JWT bundles: %w", err)
	}
	jwtBundle, err := jwtBundles.GetJWTBundleForTrustDomain(svid.ID.TrustDomain())
	if err != nil {
		return fmt.Errorf("own JWT bundle: %w", err)
	}
	parsed, err := jwtsvid.ParseAndValidate(token.Marshal(), jwtBundles, []string{audience})
	if err != nil {
		return fmt.Errorf("verify own JWT-SVID: %w", err)
	}
	validated, err := client.ValidateJWTSVID(ctx, token.Marshal(), audience)
	if err != nil {
		return fmt.Errorf("have the agent validate: %w", err)
	}
	_, otherErr := client.ValidateJWTSVID(ctx, token.Marshal(), audience+"-other")

	return printJSON(fetched{
		ID:          svid.ID.String(),
		Chain:       toPEM(svid.Certificates),
		Bundle:      toPEM(bundle.X509Authorities()),
		VerifiedID:  verifiedID.String(),
		JwtID:       parsed.ID.String(),
		JwtAudience: parsed.Audience,
		JwtKeys:     len(jwtBundle.JWTAuthorities()),
		ValidatedID: validated.ID.String(),
		OtherError:  fmt.Sprint(otherErr),
	})
}

func toPEM(certificates []*x509.Certificate) string {
	var text strings.Builder
	for _, certificate := range certificates {
		// A strings.Builder does not fail.
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
	}
	return text.String()
}
