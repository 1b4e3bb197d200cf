// Judges X509-SVID chains with go-spiffe. One JSON object a line comes in on standard input, one verdict a line goes out.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

type question struct {
	TrustDomain string   `json:"trustDomain"`
	Chain       [][]byte `json:"chain"`
	Roots       [][]byte `json:"roots"`
	At          int64    `json:"at"`
}

type verdict struct {
	ID     string `json:"id,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		id, err := judge(asked)
		answer := verdict{ID: id}
		if err != nil {
			answer = verdict{Reason: err.Error()}
		}
		if err := out.Encode(answer); err != nil {
			os.Exit(1)
		}
	}
}

func judge(asked question) (string, error) {
	td, err := spiffeid.TrustDomainFromString(asked.TrustDomain)
	if err != nil {
		return "", err
	}
	bundle := x509bundle.New(td)
	for _, der := range asked.Roots {
		root, err := x509.ParseCertificate(der)
		if err != nil {
			return "", err
		}
		bundle.AddX509Authority(root)
	}
	id, _, err := x509svid.ParseAndVerify(asked.Chain, bundle, x509svid.WithTime(time.Unix(asked.At, 0)))
	return id.String(), err
}
