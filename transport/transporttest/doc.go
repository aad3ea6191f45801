// Package transporttest is the conformance suite: what every transport has to do,
// so that publishers and listeners behave alike on all of them. Whoever writes a
// transport runs it in a test:
//
//	func TestConformance(t *testing.T) {
//		transporttest.Run(t, transporttest.Harness{
//			Open:     func(t *testing.T) transport.Dialer { return mybroker.Dialer() },
//			Features: transport.Features{Headers: true},
//		})
//	}
//
// A feature that is declared is tested; one that is not has to fail with
// transport.ErrUnsupported.
package transporttest
