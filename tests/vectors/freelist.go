// freelist IN OUT TYPE BYTES: how freelist-*.db.gz were made, with go.etcd.io/bbolt v1.3.11.
//
// A snapshot IN of etcd is opened as etcd opens its database where it stores the list of free pages (not on Linux); keys come
// and mostly go, and with them a value of so many bytes. OUT is a snapshot of it as etcd's Maintenance/Snapshot writes one.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strconv"

	bolt "go.etcd.io/bbolt"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func update(db *bolt.DB, change func(b *bolt.Bucket) error) {
	must(0, db.Update(func(tx *bolt.Tx) error { return change(tx.Bucket([]byte("members_removed"))) }))
}

func main() {
	in, size := must(os.ReadFile(os.Args[1])), must(strconv.Atoi(os.Args[4]))
	must(0, os.WriteFile(os.Args[2], in[:len(in)/512*512], 0600))
	db := must(bolt.Open(os.Args[2], 0600, &bolt.Options{FreelistType: bolt.FreelistType(os.Args[3])}))
	for round := 0; round < 3; round++ {
		update(db, func(b *bolt.Bucket) error {
			for i := 0; i < 300; i++ {
				must(0, b.Put([]byte(fmt.Sprintf("%016x", i*7+round)), []byte("removed")))
			}
			return b.Put([]byte("large"), make([]byte, size))
		})
		update(db, func(b *bolt.Bucket) error {
			for i := 0; i < 300; i++ {
				if i%97 != 0 {
					must(0, b.Delete([]byte(fmt.Sprintf("%016x", i*7+round))))
				}
			}
			return b.Delete([]byte("large"))
		})
	}
	hash := sha256.New()
	must(0, db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			panic(err)
		}
		must(tx.WriteTo(hash))
		return tx.CopyFile(os.Args[2]+".copy", 0600)
	}))
	must(0, db.Close())
	snapshot := append(must(os.ReadFile(os.Args[2]+".copy")), hash.Sum(nil)...)
	must(0, os.WriteFile(os.Args[2], snapshot, 0600))
	must(0, os.Remove(os.Args[2]+".copy"))
}
