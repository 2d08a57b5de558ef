package glacierd

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Limits of vaults. Source: Amazon Glacier developer guide, "Quotas", and API
// reference, "List Vaults".
const (
	maxVaultName = 255
	maxVaults    = 1000
	vaultsAPage  = 10
)

// overhead is what each archive adds to a vault's SizeInBytes besides its own
// bytes: 32 KiB of index. Source: Amazon Glacier pricing; that it is counted:
// API reference, "Describe Vault".
const overhead = 32 << 10

// timeFormat is how times stand in JSON; whole seconds have no fraction where
// the service has none, in inventories.
const (
	timeFormat   = "2006-01-02T15:04:05.000Z"
	secondFormat = "2006-01-02T15:04:05Z"
)

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format(timeFormat) }

// dateStamp is a time as inventories have it.
func dateStamp(ms int64) string {
	if ms%1000 == 0 {
		return time.UnixMilli(ms).UTC().Format(secondFormat)
	}
	return stamp(ms)
}

func vaultNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.'
}

// validVaultName reports whether a name is one that the service allows and a
// folder can have: "." and ".." are not.
func validVaultName(name string) bool {
	if len(name) == 0 || len(name) > maxVaultName || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		if !vaultNameByte(name[i]) {
			return false
		}
	}
	return true
}

func createVault(c *call) error {
	if !validVaultName(c.vault) {
		return invalid("Invalid vault name: %s. A name has 1 to %d characters of a-z, A-Z, 0-9, '_', '-' and '.'", c.vault, maxVaultName)
	}
	if one := c.s.oneVault; one != "" && c.vault != one {
		return invalid("Invalid vault name: %s. This server keeps a single vault, %s", c.vault, one)
	}
	v, err := c.s.vault(c.vault)
	switch {
	case err == nil:
		c.s.release(v)
	case !errors.Is(err, errNoVault):
		return err
	default:
		names, err := c.s.vaultNames("")
		if err != nil {
			return err
		}
		if len(names) >= maxVaults {
			return limitExceeded("The account has %d vaults; it can't have more", len(names))
		}
		if err := c.s.makeVault(c.vault, c.now.UnixMilli()); err != nil {
			return err
		}
	}
	c.w.Header().Set("Location", c.location())
	return c.empty(http.StatusCreated)
}

// vaultNames lists the folders that look like vaults, in byte order, from the
// first one after the name after.
func (s *Server) vaultNames(after string) ([]string, error) {
	if s.oneVault != "" {
		if _, err := os.Stat(filepath.Join(s.cfg.Vault, vaultFile)); err != nil || s.oneVault <= after {
			return nil, nil
		}
		return []string{s.oneVault}, nil
	}
	entries, err := os.ReadDir(s.cfg.Root)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries { // sorted by name
		if e.Name() <= after || !validVaultName(e.Name()) {
			continue
		}
		if _, err := os.Stat(filepath.Join(s.cfg.Root, e.Name(), vaultFile)); err == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// A vaultDescription is the JSON of a vault.
type vaultDescription struct {
	CreationDate      string
	LastInventoryDate *string
	NumberOfArchives  int64
	SizeInBytes       int64
	VaultARN          string
	VaultName         string
}

func describeVault(c *call, v *vault) error {
	d, err := c.describe(v)
	if err != nil {
		return err
	}
	return c.reply(d)
}

// describe tells what the last inventory knows of a vault. Before the first
// one the counters are 0, as clients have seen, not null as is documented.
func (c *call) describe(v *vault) (vaultDescription, error) {
	d := vaultDescription{CreationDate: stamp(v.created), VaultARN: c.arn(v.name), VaultName: v.name}
	err := c.read(v, func(t tx) error {
		inv, err := v.lastInventory(t)
		if err != nil || !inv.exists {
			return err
		}
		date := stamp(inv.date)
		d.LastInventoryDate = &date
		d.NumberOfArchives = inv.archives
		d.SizeInBytes = inv.bytes + overhead*inv.archives
		return nil
	})
	return d, err
}

func listVaults(c *call) error {
	query := c.r.URL.Query()
	limit, err := c.limit(query, vaultsAPage)
	if err != nil {
		return err
	}
	after, err := c.vaultMarker(query.Get("marker"))
	if err != nil {
		return err
	}
	names, err := c.s.vaultNames(after)
	if err != nil {
		return err
	}
	page := struct {
		Marker    *string
		VaultList []vaultDescription
	}{VaultList: []vaultDescription{}}
	for _, name := range names {
		if len(page.VaultList) == limit {
			marker := page.VaultList[limit-1].VaultARN
			page.Marker = &marker
			break
		}
		v, err := c.s.vault(name)
		if errors.Is(err, errNoVault) {
			continue // just removed, or just being made
		}
		if err != nil {
			return err
		}
		d, err := c.describe(v)
		c.s.release(v)
		if err != nil {
			return err
		}
		page.VaultList = append(page.VaultList, d)
	}
	return c.reply(page)
}

// vaultMarker reads the ARN after whose vault a list goes on.
func (c *call) vaultMarker(marker string) (name string, err error) {
	if marker == "" {
		return "", nil
	}
	_, name, ok := strings.Cut(marker, ":vaults/")
	if !ok || !strings.HasPrefix(marker, "arn:") || !validVaultName(name) {
		return "", invalid("Invalid marker: %s", marker)
	}
	return name, nil
}

// deleteVault removes a vault that its last inventory found empty, and that
// was not written to since. One that is gone is gone.
func deleteVault(c *call) error {
	if one := c.s.oneVault; one != "" && c.vault != one {
		return invalid("Invalid vault name: %s. This server keeps a single vault, %s", c.vault, one)
	}
	// Without a vault no lock is taken, so that no folder is made for its file.
	if _, err := os.Stat(filepath.Join(c.s.folder(c.vault), vaultFile)); !validVaultName(c.vault) || errors.Is(err, fs.ErrNotExist) {
		return c.empty(http.StatusNoContent)
	}
	unlock, err := c.s.lockFolders()
	if err != nil {
		return err
	}
	defer unlock()
	v, err := c.s.vaultUnderLock(c.vault)
	if errors.Is(err, errNoVault) {
		return c.empty(http.StatusNoContent)
	}
	if err != nil {
		return err
	}
	err = c.write(v, func(t tx) error {
		empty, err := v.emptyForSure(t)
		if err != nil {
			return err
		}
		if !empty {
			return invalid("Vault not empty or recently written to: %s", c.arn(v.name))
		}
		return t.exec("DELETE FROM vault")
	})
	c.s.release(v)
	if err != nil {
		return err
	}
	if err := c.s.removeVault(c.vault); err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}
