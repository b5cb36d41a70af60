package engine

import (
	"context"
	"errors"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

var errNoneToRekey = errors.New("no matching SAs to rekey found") // strongSwan's text

// Rekey implements control.Backend.
func (e *Engine) Rekey(ctx context.Context, r control.RekeyRequest) (int, error) {
	matched := 0
	for _, run := range e.runners {
		list, ok := atShard(ctx, run, (*Shard).Statuses)
		if !ok {
			return matched, errors.Join(ctx.Err(), errNoShard)
		}
		for _, st := range list {
			for _, ev := range rekeys(r, st) {
				matched++
				run.in.put(shardItem{in: Order{IKE: st.ID, Event: ev}})
			}
		}
	}
	if matched == 0 {
		return 0, errNoneToRekey
	}
	return matched, nil
}

// rekeys are the replacements that a request means in an IKE SA: of its children when it
// names some, of itself otherwise. What is being replaced or about to end is not meant.
func rekeys(r control.RekeyRequest, st ike.Status) []ike.Rekey {
	if st.Established == ike.Never || r.Conn != "" && r.Conn != st.Conn || r.ConnID != 0 && r.ConnID != st.ID {
		return nil
	}
	if r.Child == "" && r.ChildID == 0 {
		if st.State != ike.Up {
			return nil
		}
		return []ike.Rekey{{Reauth: r.Reauth}}
	}
	var out []ike.Rekey
	for _, c := range st.Children {
		named := (r.Child == "" || r.Child == c.Name) && (r.ChildID == 0 || r.ChildID == c.ID)
		if named && c.State == ike.ChildInstalled {
			out = append(out, ike.Rekey{ChildID: c.ID})
		}
	}
	return out
}
