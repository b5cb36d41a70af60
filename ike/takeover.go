package ike

// Keeper is a Machine that another process can carry on.
type Keeper interface {
	Machine
	// Snapshot gives all that the other process has to know, secrets included, in parts:
	// the IKE SA is part 0, and comes last; the others, by the unique IDs of children,
	// seldom change. The data belongs to the machine again when part returns. It is false,
	// and nothing that was given counts, when the IKE SA cannot be carried on as it is now: the other process
	// sets it up anew. What is gathered for an exchange is not in it, nor a request of
	// the peer that was not answered yet: both begin again.
	Snapshot(part func(id uint64, data []byte)) bool
}

// TakeOver is the first event of a machine that was made from a snapshot: it adopts its
// child SAs at the data plane. With End, which says why, it is ended instead, and the
// peer is told.
type TakeOver struct{ End string }

func (TakeOver) event() {}
