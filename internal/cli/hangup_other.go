//go:build !unix

package cli

// hangups gives none: this system has no such signal.
func hangups() (asked <-chan struct{}, stop func()) { return nil, func() {} }
