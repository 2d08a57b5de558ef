package s3cold

import "testing"

// TestAnnexKeysKeepTheirNames: git-annex looks for its keys under their own names.
func TestAnnexKeysKeepTheirNames(t *testing.T) {
	s := &Store{base: "p/"}
	for description, want := range map[string]bool{
		"SHA256E-s31390--f50d7ac4c6b9031379986bc362fcefb65f1e52621ce1708d537e740fefc59cc0.mp3": true,
		"SHA256-s5--abc":                   true,
		"WORM-s123-m1400000000--photo.jpg": true,
		"URL--http&c%%example.com%f":       true,
		"GPGHMACSHA1--0123456789abcdef":    true,
		"SHA256E-s5-S100-C2--abc":          true,
		"photos--2019":                     false,
		"SHA256E-s31390":                   false,
		"SHA256E-x5--abc":                  false,
		"SHA256E-s5--":                     false,
		"A B--c":                           false,
		"":                                 false,
		"--":                               false,
		"SHA256E-s5--a/b":                  false,
	} {
		n := s.name(description, true)
		if got := n.keys[0] == description; got != want || len(n.keys) == 0 || n.own {
			t.Errorf("%q is stored as %q", description, n.keys)
		}
		if n := s.name(description, false); n.keys[0] == description && description != "" {
			t.Errorf("%q could overwrite another", description)
		}
	}
}
