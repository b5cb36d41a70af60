//go:build linux

package planes

import "testing"

// subject is a part of the suite.
type subject struct {
	name string
	run  func(*testing.T, *pair)
}

// subjects are what both planes have to do.
var subjects = []subject{
	{"Algorithms", testAlgorithms},
	{"Families", testFamilies},
	{"Replay", testReplay},
	{"Limits", testLimits},
	{"Selectors", testSelectors},
	{"Discard", testDiscard},
	{"Bypass", testBypass},
	{"Trap", testTrap},
	{"Owners", testOwners},
	{"PlaintextIn", testPlaintextIn},
	{"Replace", testReplace},
	{"Move", testMove},
	{"Mapping", testMapping},
	{"OuterHeader", testOuterHeader},
	{"InnerHeader", testInnerHeader},
	{"TFC", testTFC},
}

// single are subjects in which the ends have nothing to do with each other: it is
// enough that each plane is at both ends once.
var single = []subject{{"SPIs", testSPIs}, {"Check", testCheck}, {"Thousand", testThousand}}

func suite(t *testing.T, a, b rig, lists ...[]subject) {
	p := openPair(t, a, b)
	for _, list := range lists {
		for _, s := range list {
			t.Run(s.name, func(t *testing.T) {
				before := p.dump(t)
				p.a.notices.clear()
				p.b.notices.clear()
				s.run(t, p)
				p.pass(t)
				p.clean(t)
				p.wantDump(t, before, "after the test")
			})
		}
	}
}

// kernelSubjects are what only the kernel's plane can do.
var kernelSubjects = []subject{
	{"AH", testAH},
	{"IPComp", testIPComp},
	{"BEET", testBEET},
	{"Marks", testMarks},
	{"SetMark", testSetMark},
	{"Interface", testInterface},
}

func TestUserspace(t *testing.T) { suite(t, userspace{}, userspace{}, subjects, single) }

func TestKernel(t *testing.T) { suite(t, inKernel{}, inKernel{}, subjects, single, kernelSubjects) }

func TestKernelToUserspace(t *testing.T) { suite(t, inKernel{}, userspace{}, subjects) }

func TestUserspaceToKernel(t *testing.T) { suite(t, userspace{}, inKernel{}, subjects) }
