"""A workload in Python on PyPI's spiffe alone: fetches all that the Workload API of SPIFFE_ENDPOINT_SOCKET gives, verifies it, and prints one JSON object.

Usage: fetch.py <audience>
"""

import json
import sys
import time

from cryptography.hazmat.primitives.serialization import Encoding
from spiffe import JwtSvid, WorkloadApiClient

CALL_TIMEOUT = 10
IDENTITY_TIMEOUT = 30


def wait_for_svid(client):
    """An agent learns of a new entry with its next look at the server."""
    deadline = time.monotonic() + IDENTITY_TIMEOUT
    while True:
        try:
            return client.fetch_x509_svid(timeout=CALL_TIMEOUT)
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def pem(certificates):
    return ''.join(certificate.public_bytes(Encoding.PEM).decode() for certificate in certificates)


def refusal(act):
    try:
        act()
    except Exception as error:
        return str(error)
    return None


def main(audience):
    with WorkloadApiClient() as client:
        svid = wait_for_svid(client)
        trust_domain = svid.spiffe_id.trust_domain
        x509_bundle = client.fetch_x509_bundles(timeout=CALL_TIMEOUT).get_bundle_for_trust_domain(trust_domain)
        token = client.fetch_jwt_svid({audience}, timeout=CALL_TIMEOUT).token
        jwt_bundle = client.fetch_jwt_bundles(timeout=CALL_TIMEOUT).get_bundle_for_trust_domain(trust_domain)
        here = JwtSvid.parse_and_validate(token, jwt_bundle, {audience})
        there = client.validate_jwt_svid(token, audience, timeout=CALL_TIMEOUT)
        other_audience = refusal(lambda: client.validate_jwt_svid(token, audience + '-other', timeout=CALL_TIMEOUT))
        json.dump(
            {
                'id': str(svid.spiffe_id),
                'chain': pem(svid.cert_chain),
                'bundle': pem(x509_bundle.x509_authorities),
                'jwtId': str(here.spiffe_id),
                'jwtAudience': sorted(here.audience),
                'jwtKeys': len(jwt_bundle.jwt_authorities),
                'validatedId': str(there.spiffe_id),
                'otherAudience': other_audience,
            },
            sys.stdout,
        )


if __name__ == '__main__':
    main(sys.argv[1])
