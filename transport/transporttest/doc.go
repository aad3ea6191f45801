// Package transporttest is the conformance suite for transports. It holds what every
// transport has to do so that publishers and listeners behave alike on all of them. The
// author of a transport runs it in a test:
//
//	func TestConformance(t *testing.T) {
//		transporttest.Run(t, transporttest.Harness{
//			Open:     func(t *testing.T) transport.Dialer { return mybroker.Dialer() },
//			Features: transport.Features{Headers: true},
//		})
//	}
//
// The suite tests each feature that the harness declares. A feature that is not declared
// has to fail with transport.ErrUnsupported.
package transporttest
