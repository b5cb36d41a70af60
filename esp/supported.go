package esp

import (
	"errors"
	"fmt"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/seal"
)

// Supported tells whether the transform can serve SAs like sa: its protocol, mode,
// algorithms and replay window are looked at. The error names what it has not, and
// wraps errors.ErrUnsupported.
func Supported(sa SA) error {
	if err := supportedShape(&sa); err != nil {
		return err
	}
	encr, integ := make(crypto.Secret, crypto.KeyLen(sa.Encr)), make(crypto.Secret, crypto.KeyLen(sa.Integ))
	if _, err := seal.New(sa.Encr, sa.Integ, encr, integ); err != nil {
		return fmt.Errorf("%w: %w", err, errors.ErrUnsupported)
	}
	return nil
}

// supportedShape is Supported without the algorithms.
func supportedShape(sa *SA) error {
	switch {
	case sa.ID.Proto == ProtoAH:
		return unsupported("AH; ESP is")
	case sa.ID.Proto == ProtoIPComp:
		return unsupported("compression (IPComp); ESP is")
	case sa.ID.Proto != ProtoESP:
		return unsupported(fmt.Sprintf("IP protocol %d; ESP is", sa.ID.Proto))
	case sa.Mode == BEET:
		return unsupported("BEET mode; tunnel and transport mode are")
	case sa.Mode > BEET:
		return unsupported(fmt.Sprintf("mode %d; tunnel and transport mode are", sa.Mode))
	case sa.Window != 0 && sa.Window < minWindow || sa.Window > maxWindow:
		return unsupported(fmt.Sprintf("a replay window of %d packets; 0 and %d to %d are", sa.Window, minWindow, maxWindow))
	}
	return nil
}

func unsupported(what string) error {
	return fmt.Errorf("not built in: %s: %w", what, errors.ErrUnsupported)
}
