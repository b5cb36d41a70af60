//go:build linux

package planes

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"sync"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
)

// remote runs a rig in a process of its own, which can be killed as a daemon can.
type remote struct{ of rig }

func (r remote) String() string { return r.of.String() }
func (r remote) kernel() bool   { return r.of.kernel() }

// childEnv names the rig that a process is to run instead of tests.
const childEnv = "GOIKE_TEST_PLANE"

var rigs = map[string]rig{userspace{}.String(): userspace{}, inKernel{}.String(): inKernel{}}

// call is a request to the process; answer what comes back: to a request, or of itself
// with a notice.
type (
	call struct {
		Ops      []esp.Op
		Alloc    bool
		Query    *esp.SAID
		Src, Dst netip.Addr
		Proto    esp.Proto
		Keys     []byte // of the SAs in Ops, one behind the other: secrets are not encoded
	}
	answer struct {
		Err    string
		SPI    uint32
		Usage  esp.Usage
		Notice esp.Notice
	}
)

func init() {
	for _, v := range []any{esp.AddSA{}, esp.DelSA{}, esp.MoveSA{}, esp.AddPolicy{}, esp.DelPolicy{}, esp.Acquire{}, esp.Expire{}, esp.Mapping{}} {
		gob.Register(v)
	}
}

// childMain runs the rig of that name until its input ends, or it is killed.
func childMain(name string) int {
	in, err := rigs[name].open(context.Background(), 0)
	c := servant{enc: gob.NewEncoder(os.Stdout)}
	c.tell(answer{Err: textOf(err)})
	if err != nil {
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _ = in.Watch(ctx, func(n esp.Notice) { c.tell(answer{Notice: n}) }) }()
	c.serve(in)
	cancel()
	if err := in.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

type servant struct {
	mu  sync.Mutex
	enc *gob.Encoder
}

func (c *servant) tell(a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.enc.Encode(a); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func (c *servant) serve(in *instance) {
	ctx := context.Background()
	for dec := gob.NewDecoder(os.Stdin); ; {
		var q call
		if err := dec.Decode(&q); err != nil {
			return
		}
		var a answer
		var err error
		switch {
		case q.Alloc:
			a.SPI, err = in.AllocSPI(ctx, q.Src, q.Dst, q.Proto)
		case q.Query != nil:
			a.Usage, err = in.Query(ctx, *q.Query)
		default:
			err = in.Apply(ctx, withKeys(q.Ops, q.Keys))
		}
		a.Err = textOf(err)
		c.tell(a)
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// withoutKeys takes the keys out of operations.
func withoutKeys(ops []esp.Op) (left []esp.Op, keys []byte) {
	for _, op := range ops {
		if add, ok := op.(esp.AddSA); ok {
			for _, k := range []*crypto.Secret{&add.SA.EncrKey, &add.SA.IntegKey} {
				keys = append(append(keys, byte(len(*k))), *k...)
				*k = nil
			}
			op = add
		}
		left = append(left, op)
	}
	return left, keys
}

// withKeys puts them back.
func withKeys(ops []esp.Op, keys []byte) []esp.Op {
	for i, op := range ops {
		if add, ok := op.(esp.AddSA); ok {
			for _, k := range []*crypto.Secret{&add.SA.EncrKey, &add.SA.IntegKey} {
				n := int(keys[0])
				*k, keys = crypto.Secret(keys[1:1+n:1+n]), keys[1+n:]
			}
			ops[i] = add
		}
	}
	return ops
}

// process is the plane in the other process.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	enc     *gob.Encoder
	mu      sync.Mutex // one call at a time
	answers chan answer
	notices chan esp.Notice
}

func (r remote) open(_ context.Context, _ uint16) (*instance, error) {
	p := &process{answers: make(chan answer, 1), notices: make(chan esp.Notice, 4096)}
	p.cmd = exec.Command("/proc/self/exe")
	p.cmd.Env = append(os.Environ(), childEnv+"="+r.of.String())
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.enc = gob.NewEncoder(p.in)
	go p.read(out)
	if _, err := p.answer(); err != nil {
		p.kill()
		return nil, err
	}
	return &instance{DataPlane: p, close: p.Close, kill: p.kill}, nil
}

func (p *process) read(out io.Reader) {
	defer close(p.answers)
	for dec := gob.NewDecoder(out); ; {
		var a answer
		if err := dec.Decode(&a); err != nil {
			return
		}
		if a.Notice == nil {
			p.answers <- a
			continue
		}
		select {
		case p.notices <- a.Notice:
		default: // nobody listens
		}
	}
}

func (p *process) answer() (answer, error) {
	a, ok := <-p.answers
	switch {
	case !ok:
		return a, errors.New("the process of the plane has ended")
	case a.Err != "":
		return a, errors.New(a.Err)
	}
	return a, nil
}

func (p *process) call(q call) (answer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.enc.Encode(q); err != nil {
		return answer{}, err
	}
	return p.answer()
}

func (p *process) AllocSPI(_ context.Context, src, dst netip.Addr, proto esp.Proto) (uint32, error) {
	a, err := p.call(call{Alloc: true, Src: src, Dst: dst, Proto: proto})
	return a.SPI, err
}

func (p *process) Apply(_ context.Context, ops []esp.Op) error {
	left, keys := withoutKeys(ops)
	_, err := p.call(call{Ops: left, Keys: keys})
	return err
}

func (p *process) Check(context.Context, esp.SA) error { return nil }

func (p *process) Query(_ context.Context, id esp.SAID) (esp.Usage, error) {
	a, err := p.call(call{Query: &id})
	return a.Usage, err
}

func (p *process) Watch(ctx context.Context, sink func(esp.Notice)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case n := <-p.notices:
			sink(n)
		}
	}
}

func (p *process) Close() error {
	return errors.Join(p.in.Close(), p.cmd.Wait())
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
