package syncer

import (
	"context"
	"errors"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
)

// recipients are those that the run encrypts for; zero for nobody.
func (o Options) recipients() catalog.Recipients {
	if o.Recipients == nil {
		return catalog.Recipients{}
	}
	return o.Recipients.ID()
}

// checkSealed refuses to send in the clear what was encrypted till now: an
// option that was forgotten once would show all names for ever.
func (o Options) checkSealed(tree catalog.Tree) error {
	none := catalog.Recipients{}
	if o.Detect == plan.Always && tree.Files > 0 && tree.Recipients != o.recipients() {
		return &firn.Error{Op: "sync", Subject: o.Root, Kind: firn.Conflict, Err: errors.New("what is stored stays as it is when recipients change, also if all is sent again"),
			Hint: "to have all of it for the new ones, sync it as another tree: --tree NAME"}
	}
	if tree.Recipients == none || o.recipients() != none || o.Unencrypted {
		return nil
	}
	return &firn.Error{Op: "sync", Subject: o.Root, Kind: firn.Conflict, Err: errors.New("it was encrypted till now, and no recipient is given"),
		Hint: "give them with --recipient, or send it in the clear from now on with --unencrypted"}
}

// resealed records whom a tree is encrypted for, if they are others than till
// now, and says that what is stored stays as it is.
func (o Options) resealed(ctx context.Context, tree catalog.Tree) error {
	now := o.recipients()
	none := catalog.Recipients{}
	if now == tree.Recipients && (now == none || tree.Keys != "") {
		return nil
	}
	var text string
	switch {
	case tree.Files == 0, now == tree.Recipients:
	case tree.Recipients == none:
		text = "what is new or changed is encrypted from now on; what is stored already stays as it is, in the clear"
	case now == none:
		text = "what is new or changed is sent in the clear from now on; what is stored already stays encrypted"
	default:
		text = "what is new or changed is encrypted for these recipients from now on; what is stored already stays as it is, for those before"
	}
	if text != "" {
		o.Events(firn.NoticeEvent{Text: text, Warn: true})
	}
	// Snapshots stay encrypted for those before: they name what they can open.
	keys := strings.Fields(tree.Keys)
	if o.Recipients != nil {
		keys = o.Recipients.Strings()
	}
	return o.Catalog.SetRecipients(ctx, tree.ID, now, keys)
}
