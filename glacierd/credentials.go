package glacierd

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/firn-archive/firn/internal/atomicfile"
)

// A KeyPair is who may sign requests.
type KeyPair struct {
	AccessKeyID     string
	SecretAccessKey string
	// SessionToken goes with temporary keys; requests must carry it.
	SessionToken string
	// Expires is when the token does; zero means never.
	Expires time.Time
}

// Credentials makes Config.Credentials of a few key pairs.
func Credentials(pairs ...KeyPair) func(accessKeyID string) (KeyPair, bool) {
	byID := map[string]KeyPair{}
	for _, p := range pairs {
		byID[p.AccessKeyID] = p
	}
	return func(id string) (KeyPair, bool) {
		p, ok := byID[id]
		return p, ok
	}
}

// LoadOrMakeCredentials gives the key pair that is kept in a root folder, in
// +account/credentials. Where there is none it makes one, which only its owner
// may read, and made is true. The file has the form of AWS's shared
// credentials files, so that other programs can be pointed at it.
func LoadOrMakeCredentials(root string) (pair KeyPair, made bool, err error) {
	path := filepath.Join(root, accountFolder, credentialFile)
	pair, err = ReadCredentials(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return pair, false, err
	}
	pair = newKeyPair()
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", pair.AccessKeyID, pair.SecretAccessKey)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return KeyPair{}, false, err
	}
	if err := atomicfile.Write(path, []byte(text), 0o600); err != nil {
		return KeyPair{}, false, err
	}
	return pair, true, nil
}

// newKeyPair makes a pair that looks like Amazon's: 20 and 40 characters.
func newKeyPair() KeyPair {
	var secret [30]byte
	rand.Read(secret[:])
	return KeyPair{AccessKeyID: "AKIA" + rand.Text()[:16], SecretAccessKey: base64.StdEncoding.EncodeToString(secret[:])}
}

// ReadCredentials reads the first key pair of a file in the form of AWS's
// shared credentials files: lines "aws_access_key_id = ..." and
// "aws_secret_access_key = ...", perhaps "aws_session_token = ...".
func ReadCredentials(path string) (KeyPair, error) {
	f, err := os.Open(path)
	if err != nil {
		return KeyPair{}, err
	}
	defer f.Close()
	var p KeyPair
	in := bufio.NewScanner(f)
	for in.Scan() {
		line := strings.TrimSpace(in.Text())
		if strings.HasPrefix(line, "[") && p.AccessKeyID != "" {
			break
		}
		name, value, _ := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "aws_access_key_id":
			p.AccessKeyID = value
		case "aws_secret_access_key":
			p.SecretAccessKey = value
		case "aws_session_token":
			p.SessionToken = value
		}
	}
	if err := in.Err(); err != nil {
		return KeyPair{}, err
	}
	if p.AccessKeyID == "" || p.SecretAccessKey == "" {
		return KeyPair{}, fmt.Errorf("%s lacks a line that sets aws_access_key_id, or one that sets aws_secret_access_key", path)
	}
	return p, nil
}
