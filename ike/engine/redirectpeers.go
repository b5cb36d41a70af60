package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

var (
	errNoneToRedirect = errors.New("no matching SAs to redirect found") // strongSwan's text
	errNoShard        = errors.New("a shard does not answer")
)

// maxRefused bounds how many IKE SAs an error names.
const maxRefused = 5

// Redirect implements control.Backend. The peers that can be redirected are told; the
// error names those that cannot.
func (e *Engine) Redirect(ctx context.Context, r control.RedirectRequest) (int, error) {
	matched, told := 0, 0
	var refused []string
	for _, run := range e.runners {
		list, ok := atShard(ctx, run, (*Shard).Statuses)
		if !ok {
			return matched, errors.Join(ctx.Err(), errNoShard)
		}
		for _, st := range list {
			if !r.Matches(st) {
				continue
			}
			matched++
			if why := notRedirectable(st); why != "" {
				refused = append(refused, fmt.Sprintf("#%d of %q (%s)", st.ID, st.Conn, why))
				continue
			}
			told++
			run.in.put(shardItem{in: Order{IKE: st.ID, Event: ike.Redirect{Gateway: r.Gateway}}})
		}
	}
	switch {
	case matched == 0:
		return 0, errNoneToRedirect
	case len(refused) == 0:
		return matched, nil
	}
	if len(refused) > maxRefused {
		refused = append(refused[:maxRefused:maxRefused], fmt.Sprintf("and %d more", len(refused)-maxRefused))
	}
	return matched, fmt.Errorf("%d of %d redirected, not IKE SA %s", told, matched, strings.Join(refused, ", "))
}

// notRedirectable says why the peer of an IKE SA cannot be sent to another gateway, empty
// when it can be.
func notRedirectable(st ike.Status) string {
	switch {
	case !st.Redirects:
		return "the peer has not begun it, or does not support redirects"
	case st.State != ike.Up:
		return "it is being replaced or about to end"
	}
	return ""
}
