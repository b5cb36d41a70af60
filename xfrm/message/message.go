// Package message is the codec of the kernel's XFRM messages (linux/xfrm.h): SAs,
// policies, and what the kernel tells about them. Its types are the kernel's
// structures and attributes with Go's types for addresses; nothing here knows what
// they are good for. Integers are the host's unless the kernel has them in network
// order. Addresses in SAs and policies of IPv4 are never IPv4-mapped.
package message

import (
	"net/netip"

	"github.com/goike/goike/crypto"
)

// Type is the type of a message (XFRM_MSG_*).
type Type uint16

// The messages.
const (
	NewSA       Type = 0x10
	DelSA       Type = 0x11
	GetSA       Type = 0x12
	NewPolicy   Type = 0x13
	DelPolicy   Type = 0x14
	GetPolicy   Type = 0x15
	AllocSPI    Type = 0x16
	AcquireMsg  Type = 0x17
	ExpireMsg   Type = 0x18
	UpdPolicy   Type = 0x19
	UpdSA       Type = 0x1a
	PolExpire   Type = 0x1b
	FlushSA     Type = 0x1c
	FlushPolicy Type = 0x1d
	MappingMsg  Type = 0x26
)

// Group is a group of notices (XFRMNLGRP_*).
type Group uint32

// The groups.
const (
	GroupAcquire Group = 1
	GroupExpire  Group = 2
	GroupSA      Group = 3
	GroupPolicy  Group = 4
	GroupMapping Group = 8
)

// Mode is the mode of an SA or template (XFRM_MODE_*).
type Mode uint8

// The modes.
const (
	Transport Mode = 0
	Tunnel    Mode = 1
	BEET      Mode = 4
)

// Direction is the direction of a policy (XFRM_POLICY_IN ...).
type Direction uint8

// The directions.
const (
	In      Direction = 0
	Out     Direction = 1
	Forward Direction = 2
)

// Action is what a policy does (XFRM_POLICY_ALLOW ...).
type Action uint8

// The actions.
const (
	Allow Action = 0
	Block Action = 1
)

// Flags are the flags of an SA (XFRM_STATE_*).
type Flags uint8

// The flags.
const (
	NoECN     Flags = 1
	DecapDSCP Flags = 2
	NoPMTUD   Flags = 4
	AFUnspec  Flags = 32
	Align4    Flags = 64
	ESN       Flags = 128
)

// ExtraFlags are further flags (XFRM_SA_XFLAG_*).
type ExtraFlags uint32

// DontEncapDSCP keeps the DSCP of inner packets to themselves.
const DontEncapDSCP ExtraFlags = 1

// SADir is the direction of an SA, which kernels from 6.10 on know (XFRM_SA_DIR_*).
type SADir uint8

// The directions of an SA; 0: not said.
const (
	SADirIn  SADir = 1
	SADirOut SADir = 2
)

// OffloadFlags are XFRM_OFFLOAD_*.
type OffloadFlags uint8

// The flags of an offload.
const (
	OffloadIPv6    OffloadFlags = 1
	OffloadInbound OffloadFlags = 2
	OffloadPacket  OffloadFlags = 4
)

// Infinite is a limit that is never reached (XFRM_INF).
const Infinite = ^uint64(0)

// Ports is a port and the bits of it that count, in host order; the zero Ports is
// any. For ICMP the source "port" is the type, the destination "port" the code.
type Ports struct{ Port, Mask uint16 }

// Selector says which packets (struct xfrm_selector). Invalid prefixes are written
// as none, of the family of the other or of Family; they are read as a prefix of
// length 0, and as invalid ones without a family.
type Selector struct {
	Src, Dst           netip.Prefix
	SrcPorts, DstPorts Ports
	Proto              uint8
	IfIndex            int32
	User               uint32
	Family             uint16 // AF_INET, AF_INET6; 0: that of the prefixes, or unspecified
}

// ID names an SA (struct xfrm_id). SPI is in host order.
type ID struct {
	Dst   netip.Addr
	SPI   uint32
	Proto uint8
}

// Limits are struct xfrm_lifetime_cfg; times are in seconds. Infinite: none; the
// zero Limits are written as they are.
type Limits struct {
	SoftBytes, HardBytes, SoftPackets, HardPackets uint64
	SoftAdd, HardAdd, SoftUse, HardUse             uint64
}

// NoLimits never end.
var NoLimits = Limits{SoftBytes: Infinite, HardBytes: Infinite, SoftPackets: Infinite, HardPackets: Infinite}

// Used is what was carried (struct xfrm_lifetime_cur); times are seconds since 1970,
// 0: never.
type Used struct{ Bytes, Packets, AddTime, UseTime uint64 }

// Stats are struct xfrm_stats.
type Stats struct{ ReplayWindow, Replay, IntegrityFailed uint32 }

// Alg is an algorithm and its key: XFRMA_ALG_CRYPT, _AUTH_TRUNC, _AEAD or _COMP.
// ICVBits is the truncation, of AUTH_TRUNC and AEAD.
type Alg struct {
	Name    string // the kernel's, at most 63 octets
	Key     crypto.Secret
	ICVBits uint32
}

// Encap is UDP encapsulation (struct xfrm_encap_tmpl, type UDP_ENCAP_ESPINUDP); ports
// are in host order, as they are on the wire of packets of the SA's direction.
type Encap struct {
	SrcPort, DstPort uint16
	Original         netip.Addr // OA; usually invalid
}

// Mark is struct xfrm_mark.
type Mark struct{ Value, Mask uint32 }

// Replay is the state of the sequence numbers (struct xfrm_replay_state_esn, or
// xfrm_replay_state). Bitmap has a bit per packet of the window, as the kernel keeps
// it; nil in a new SA.
type Replay struct {
	OutSeq, InSeq         uint32
	OutSeqHigh, InSeqHigh uint32
	Bitmap                []uint32
}

// OffloadDev is struct xfrm_user_offload.
type OffloadDev struct {
	IfIndex int32
	Flags   OffloadFlags
}

// State is an SA (struct xfrm_usersa_info and its attributes). A pointer that is nil,
// a number that is zero is not sent, unless its field says otherwise.
type State struct {
	ID         ID
	Src        netip.Addr
	Sel        Selector
	Limits     Limits
	Used       Used  // read only
	Stats      Stats // read only
	Seq        uint32
	ReqID      uint32
	Mode       Mode
	Flags      Flags
	ExtraFlags ExtraFlags
	// Window is the replay window in packets. Up to 32 without ESN it is written into
	// the structure itself, else as XFRMA_REPLAY_ESN_VAL; so is Replay.
	Window   uint32
	Replay   *Replay
	Encr     *Alg // XFRMA_ALG_CRYPT
	Auth     *Alg // XFRMA_ALG_AUTH_TRUNC
	AEAD     *Alg // XFRMA_ALG_AEAD
	Comp     *Alg // XFRMA_ALG_COMP
	Encap    *Encap
	CoAddr   netip.Addr
	Mark     *Mark
	SetMark  *Mark // XFRMA_SET_MARK, XFRMA_SET_MARK_MASK
	IfID     uint32
	Dir      SADir
	TFCPad   uint32
	Offload  *OffloadDev
	LastUsed uint64 // read only: seconds since 1970, 0: never
}

// Template is one SA of those that a policy wants (struct xfrm_user_tmpl).
type Template struct {
	Src, Dst netip.Addr // transport mode: may be invalid, Family then says which
	SPI      uint32
	Proto    uint8
	Family   uint16 // 0: that of the addresses
	ReqID    uint32
	Mode     Mode
	Optional bool
}

// Policy is a policy (struct xfrm_userpolicy_info and its attributes).
type Policy struct {
	Sel       Selector
	Dir       Direction
	Action    Action
	Limits    Limits
	Used      Used // read only
	Priority  uint32
	Index     uint32
	Flags     uint8
	Templates []Template // at most 6
	Mark      *Mark
	IfID      uint32
	Offload   *OffloadDev
	Type      uint8 // XFRMA_POLICY_TYPE: 0 main, 1 sub
}

// PolicyID names a policy by what the kernel finds it with.
type PolicyID struct {
	Sel  Selector
	Dir  Direction
	Mark *Mark
	IfID uint32
}

// Acquire is the kernel's wish for an SA (struct xfrm_user_acquire).
type Acquire struct {
	ID     ID         // of the wanted SA, without SPI
	Src    netip.Addr // of the wanted SA
	Packet Selector   // of the packet that wants it
	Policy Policy
	Seq    uint32
}

// Expire tells of a limit that was reached (struct xfrm_user_expire).
type Expire struct {
	State State
	Hard  bool
}

// Mapping tells that packets of an SA in UDP come from somewhere else (struct
// xfrm_user_mapping).
type Mapping struct {
	ID       ID
	ReqID    uint32
	Old, New netip.AddrPort
}

// Deleted tells that an SA or a policy is gone: DelSA, DelPolicy.
type Deleted struct {
	State  *State  // of DelSA; what its notice has of it
	Policy *Policy // of DelPolicy
}

// Flushed tells that all SAs (of Proto, 0 or 255: of every protocol) or all policies
// are gone: FlushSA, FlushPolicy.
type Flushed struct {
	Policies bool
	Proto    uint8
}
