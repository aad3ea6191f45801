package client

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sgtickets/common/transport"
)

// checkArguments returns an error if the arguments of Build look swapped: one of the IDs is a
// URL. The error does not repeat it, since a URL may hold a password.
func checkArguments(clusterID, clientID string) error {
	for _, id := range []struct{ name, value string }{{"cluster ID", clusterID}, {"client ID", clientID}} {
		if strings.Contains(id.value, "://") {
			return fmt.Errorf("%w %s: it is a URL; the arguments of Build are the cluster ID, the client ID and the URL, in that order", transport.ErrInvalid, id.name)
		}
	}
	return nil
}

// adviceFor returns what says what to check when an attempt failed. Where the cluster is not
// found, its ID may have been swapped with the client's.
func (o *options) adviceFor(cfg *transport.Config) func(error) string {
	return func(err error) string {
		if errors.Is(err, transport.ErrNoCluster) {
			return o.advice(err) + fmt.Sprintf(", and that the cluster ID %q and the client ID %q are not swapped", cfg.ClusterID, cfg.ClientID)
		}
		return o.advice(err)
	}
}
