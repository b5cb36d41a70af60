package v2

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goike/goike/conf"
)

// snapshot writes down the whole state of a machine, octet by octet; only the
// configuration is told by its address.
func snapshot(sa *SA) string {
	var b strings.Builder
	dump(&b, reflect.ValueOf(sa), make(map[uintptr]bool))
	return b.String()
}

func dump(b *strings.Builder, v reflect.Value, seen map[uintptr]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		dumpPointer(b, v, seen)
	case reflect.Interface:
		if v.IsNil() {
			b.WriteString("nil ")
			return
		}
		b.WriteString(v.Elem().Type().String())
		dump(b, v.Elem(), seen)
	case reflect.Struct:
		if v.Type().PkgPath() == "net/netip" || v.Type().PkgPath() == "unique" {
			fmt.Fprintf(b, "%v ", v)
			return
		}
		for i := range v.NumField() {
			fmt.Fprintf(b, "%s:", v.Type().Field(i).Name)
			dump(b, v.Field(i), seen)
		}
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.IsNil() {
			b.WriteString("nil ")
			return
		}
		if v.Type().Elem().Kind() == reflect.Uint8 && (v.Kind() == reflect.Slice || v.CanAddr()) {
			fmt.Fprintf(b, "%x ", v.Bytes())
			return
		}
		fmt.Fprintf(b, "[%d ", v.Len())
		for i := range v.Len() {
			dump(b, v.Index(i), seen)
		}
		b.WriteString("] ")
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		panic("the state of an IKE SA is not plain data: " + v.Type().String())
	case reflect.Map:
		fmt.Fprintf(b, "%v ", v)
	case reflect.Bool:
		fmt.Fprint(b, v.Bool(), " ")
	case reflect.String:
		fmt.Fprintf(b, "%q ", v.String())
	case reflect.Float32, reflect.Float64:
		fmt.Fprint(b, v.Float(), " ")
	default:
		if v.CanUint() {
			fmt.Fprintf(b, "%x ", v.Uint())
			return
		}
		fmt.Fprintf(b, "%x ", v.Int())
	}
}

func dumpPointer(b *strings.Builder, v reflect.Value, seen map[uintptr]bool) {
	switch {
	case v.IsNil():
		b.WriteString("nil ")
	case seen[v.Pointer()], v.Type() == reflect.TypeFor[*conf.Config](), v.Type() == reflect.TypeFor[*conf.Connection](),
		v.Type() == reflect.TypeFor[*conf.Child](), !strings.Contains(v.Type().Elem().PkgPath(), "goike/ike"):
		fmt.Fprintf(b, "%x ", v.Pointer())
	default:
		seen[v.Pointer()] = true
		dump(b, v.Elem(), seen)
	}
}
