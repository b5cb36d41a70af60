package ke

import "testing"

func BenchmarkMethod(b *testing.B) {
	for _, f := range families {
		for _, m := range f {
			o, err := m.Offer(source(1))
			if err != nil {
				b.Fatal(err)
			}
			answer, _, err := m.Answer(source(2), o.Public())
			if err != nil {
				b.Fatal(err)
			}
			b.Run(m.Name()+"/offer", func(b *testing.B) {
				rand := source(3)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := m.Offer(rand); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(m.Name()+"/finish", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := o.Finish(answer); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
