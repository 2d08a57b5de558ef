package firn_test

import (
	"testing"

	"github.com/firn-archive/firn"
)

func TestRetrievalPolicyIsChecked(t *testing.T) {
	for p, want := range map[firn.RetrievalPolicy]bool{
		{Strategy: firn.RetrieveAny}:                         true,
		{Strategy: firn.RetrieveFree}:                        true,
		{Strategy: firn.RetrievePerHour, BytesPerHour: 1}:    true,
		{Strategy: firn.RetrievePerHour}:                     false,
		{Strategy: firn.RetrievePerHour, BytesPerHour: -1}:   false,
		{Strategy: firn.RetrieveAny, BytesPerHour: 1}:        false,
		{Strategy: firn.RetrieveFree, BytesPerHour: 1 << 30}: false,
		{}:                         false,
		{Strategy: "Sometimes"}:    false,
		{BytesPerHour: 1 << 30}:    false,
		{Strategy: "bytesperhour"}: false,
	} {
		err := p.Check()
		if (err == nil) != want || err != nil && firn.KindOf(err) != firn.Invalid {
			t.Errorf("%+v: %v", p, err)
		}
	}
}
