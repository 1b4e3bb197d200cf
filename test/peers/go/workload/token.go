package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// Prints a JWT-SVID.
func token(ctx context.Context, audience string) error {
	svid, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		return fmt.Errorf("fetch JWT-SVID: %w", err)
	}
	fmt.Println(svid.Marshal())
	return nil
}

// Verifies the token in JWT_SVID by the bundles that the agent gives, and prints whose it is.
func validate(ctx context.Context, audience string) error {
	source, err := workloadapi.NewJWTSource(ctx)
	if err != nil {
		return fmt.Errorf("JWT source: %w", err)
	}
	defer source.Close()
	svid, err := jwtsvid.ParseAndValidate(os.Getenv("JWT_SVID"), source, []string{audience})
	if err != nil {
		return err
	}
	fmt.Println(svid.ID)
	return nil
}
