package message

// Families of addresses, as the kernel numbers them (AF_*).
const (
	familyNone = 0
	familyIPv4 = 2
	familyIPv6 = 10
)

// Sizes of the kernel's structures, with the padding at their end.
const (
	sizeAddr       = 16
	sizeSelector   = 56  // struct xfrm_selector
	sizeID         = 24  // struct xfrm_id
	sizeLimits     = 64  // struct xfrm_lifetime_cfg
	sizeUsed       = 32  // struct xfrm_lifetime_cur
	sizeStats      = 12  // struct xfrm_stats
	sizeState      = 224 // struct xfrm_usersa_info
	sizeStateID    = 24  // struct xfrm_usersa_id
	sizeAllocSPI   = 232 // struct xfrm_userspi_info
	sizePolicy     = 168 // struct xfrm_userpolicy_info
	sizePolicyID   = 64  // struct xfrm_userpolicy_id
	sizePolicyType = 6   // struct xfrm_userpolicy_type
	sizeTemplate   = 64  // struct xfrm_user_tmpl
	sizeAcquire    = 280 // struct xfrm_user_acquire
	sizeExpire     = 232 // struct xfrm_user_expire
	sizeMapping    = 64  // struct xfrm_user_mapping
	sizeFlush      = 1   // struct xfrm_usersa_flush
	sizeMark       = 8   // struct xfrm_mark
	sizeEncap      = 24  // struct xfrm_encap_tmpl
	sizeOffload    = 8   // struct xfrm_user_offload
	sizeReplay     = 12  // struct xfrm_replay_state
	sizeReplayESN  = 24  // struct xfrm_replay_state_esn, without its bitmap
	sizeAlg        = 68  // struct xfrm_algo, without its key
	sizeAlgICV     = 72  // struct xfrm_algo_auth and xfrm_algo_aead, likewise
)

// Attributes (XFRMA_*).
const (
	attrAuth        = 1
	attrCrypt       = 2
	attrComp        = 3
	attrEncap       = 4
	attrTemplates   = 5
	attrState       = 6
	attrPolicy      = 7
	attrReplay      = 10
	attrCoAddr      = 14
	attrLastUsed    = 15
	attrPolicyType  = 16
	attrAEAD        = 18
	attrAuthTrunc   = 20
	attrMark        = 21
	attrTFCPad      = 22
	attrReplayESN   = 23
	attrExtraFlags  = 24
	attrProto       = 25
	attrOffload     = 28
	attrSetMark     = 29
	attrSetMarkMask = 30
	attrIfID        = 31
	attrDir         = 33
)

const (
	encapESPInUDP = 2 // UDP_ENCAP_ESPINUDP

	maxName       = 63   // octets of the name of an algorithm
	maxKey        = 512  // octets of a key; no algorithm of the kernel has a longer one
	maxWindow     = 4096 // XFRMA_REPLAY_ESN_MAX
	maxOldWindow  = 32   // of struct xfrm_replay_state
	maxTemplates  = 6    // XFRM_MAX_DEPTH
	everyAlg      = ^uint32(0)
	everyMarkBit  = ^uint32(0)
	bitsOfWord    = 32
	bitsOfIPv4    = 32
	bitsOfIPv6    = 128
	attrHeaderLen = 4
)
