package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/firn-archive/firn"
)

// PricesName is the file of prices, in ConfigDir, that somebody knows better
// than firn.
const PricesName = "prices.toml"

// A PriceList is what a user says that vaults in one region charge, or a storage
// class of S3 there.
type PriceList struct {
	Region string
	Class  string // empty: it is of vaults
	Line   int
	AsOf   time.Time // the day, in UTC
	Note   string    // where they come from; may be empty
	Prices []GivenPrice
}

// A GivenPrice is a price as it is written: nobody has looked yet whether it is
// one.
type GivenPrice struct {
	Key, Dollars string
	Line         int
}

// ReadPrices reads a file of prices:
//
//	[vault.eu-west-1]
//	as_of = 2026-11-01
//	note = "the pricing page"
//	storage = 0.00405
//
//	[s3.eu-west-1.DEEP_ARCHIVE]
//	as_of = 2026-11-01
//	storage = 0.0018
//
// Errors: NotFound (there is no such file), Usage, several of them joined, each
// with its line; Local.
func ReadPrices(path string) ([]PriceList, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		kind := firn.Local
		if errors.Is(err, fs.ErrNotExist) {
			kind = firn.NotFound
		}
		return nil, &firn.Error{Op: "read prices", Subject: path, Kind: kind, Err: cause(err)}
	}
	r := &priceReader{path: path}
	lists := r.read(data)
	return lists, errors.Join(r.errs...)
}

// A priceReader makes lists of tables, and gathers what is wrong.
type priceReader struct {
	path string
	errs []error
}

func (r *priceReader) wrong(line int, format string, args ...any) {
	r.errs = append(r.errs, PriceError(r.path, line, fmt.Errorf(format, args...)))
}

// PriceError says what is wrong in a line of a file of prices; 0: in all of it.
func PriceError(path string, line int, err error) error {
	if line > 0 {
		path = fmt.Sprintf("%s, line %d", path, line)
	}
	return &firn.Error{Op: "read prices", Subject: path, Kind: firn.Usage, Err: err, Hint: "docs/costs.md says how prices are written"}
}

func (r *priceReader) read(data []byte) (lists []PriceList) {
	root, line, err := parseDocument(data)
	if err != nil {
		r.wrong(line, "%w", err)
		return nil
	}
	for _, f := range root.fields {
		if f.key != "vault" && f.key != "s3" || f.value.table == nil {
			r.wrong(f.line, "%q is not known here: prices stand in tables such as [vault.eu-west-1] and [s3.eu-west-1.DEEP_ARCHIVE]", f.key)
			continue
		}
		example := "[vault.eu-west-1]"
		if f.key == "s3" {
			example = "[s3.eu-west-1.DEEP_ARCHIVE]"
		}
		for _, region := range f.value.table.fields {
			switch {
			case region.value.table == nil || !regionName.allows(region.key):
				r.wrong(region.line, "%q is no table of a region: write for example %s", region.key, example)
			case f.key == "vault":
				lists = append(lists, r.list(region, region.key, ""))
			default:
				lists = append(lists, r.classes(region)...)
			}
		}
	}
	return lists
}

// className is generous: other providers have classes of their own.
var className = name{regexp.MustCompile(`^[A-Z][A-Z0-9_]+$`), 2, 64}

// classes reads the tables of a region in S3, one of each storage class.
func (r *priceReader) classes(region *field) (lists []PriceList) {
	for _, f := range region.value.table.fields {
		if f.value.table == nil || !className.allows(f.key) {
			r.wrong(f.line, "%q is no table of a storage class: write for example [s3.%s.DEEP_ARCHIVE]", f.key, region.key)
			continue
		}
		lists = append(lists, r.list(f, region.key, f.key))
	}
	return lists
}

// list reads a table of prices, of vaults in a region or of a storage class.
func (r *priceReader) list(f *field, region, class string) PriceList {
	l := PriceList{Region: region, Class: class, Line: f.line}
	for _, f := range f.value.table.fields {
		switch {
		case f.key == "as_of":
			day, err := time.Parse(time.DateOnly, f.value.text)
			if l.AsOf = day; err != nil {
				r.wrong(f.line, "as_of is no day: write for example as_of = 2026-11-01")
			}
		case f.key == "note" && f.value.kind == unstable.String:
			l.Note = f.value.text
		case f.value.kind == unstable.Float, f.value.kind == unstable.Integer, f.value.kind == unstable.String:
			l.Prices = append(l.Prices, GivenPrice{Key: f.key, Dollars: f.value.text, Line: f.line})
		default:
			r.wrong(f.line, "%s is no price: write for example storage = 0.004", f.key)
		}
	}
	if f.value.table.get("as_of") == nil {
		r.wrong(f.line, "the prices of %s have no day: write for example as_of = 2026-11-01", f.key)
	}
	return l
}
