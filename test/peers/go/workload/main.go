// A workload in Go on go-spiffe alone: it fetches what the Workload API gives it, serves over mTLS, and calls such a server.
// The answers are one JSON object on standard output; a refusal is one line on standard error and exit code 1.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

const usage = `usage: workload fetch <audience> | token <audience> | validate <audience>
       workload serve <allowed SPIFFE ID> | call <address> <expected SPIFFE ID>`

// For everything but serving, which goes on until standard input ends.
const patience = 30 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	command, rest := args[0], args[1:]
	if command == "serve" && len(rest) == 1 {
		return serve(context.Background(), rest[0])
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	switch {
	case command == "fetch" && len(rest) == 1:
		return fetch(ctx, rest[0])
	case command == "token" && len(rest) == 1:
		return token(ctx, rest[0])
	case command == "validate" && len(rest) == 1:
		return validate(ctx, rest[0])
	case command == "call" && len(rest) == 2:
		return call(ctx, rest[0], rest[1])
	}
	return errors.New(usage)
}

func printJSON(value any) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}
