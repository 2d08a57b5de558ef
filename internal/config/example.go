package config

import _ "embed"

// Example is a file with profiles and remarks that show what can be set.
//
//go:embed example.toml
var Example []byte
