// The independent verifier: reads a log's directory with golang.org/x/mod's note and tlog packages, which are not ours,
// and says OK or FAIL. It knows the layout of C2SP tlog-tiles and nothing of Portcullis.
//
//	verifier DIRECTORY VERIFIER_KEY
package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// tilePath turns Go's name of a tile (tile/8/L/N) into that of tlog-tiles (tile/L/N, tile/entries/N).
func tilePath(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), "tile/8/")
	if rest := strings.TrimPrefix(path, "data/"); rest != path {
		path = "entries/" + rest
	}
	return "tile/" + path
}

type reader struct{ directory string }

func (r reader) Height() int { return height }

func (r reader) SaveTiles([]tlog.Tile, [][]byte) {}

func (r reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		bytes, err := os.ReadFile(filepath.Join(r.directory, tilePath(t)))
		if err != nil {
			return nil, err
		}
		if len(bytes) != t.W*tlog.HashSize {
			return nil, fmt.Errorf("%s: %d bytes", tilePath(t), len(bytes))
		}
		data[i] = bytes
	}
	return data, nil
}

func checkpoint(directory, key string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return tlog.Tree{}, err
	}
	signed, err := os.ReadFile(filepath.Join(directory, "checkpoint"))
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("checkpoint: %w", err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		return tlog.Tree{}, errors.New("checkpoint: not the three lines of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("checkpoint: %w", err)
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, errors.New("checkpoint: no root")
	}
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return tree, nil
}

func verify(directory, key string) (int64, error) {
	tree, err := checkpoint(directory, key)
	if err != nil {
		return 0, err
	}
	hashes := tlog.TileHashReader(tree, reader{directory})
	for start := int64(0); start < tree.N; start += 1 << height {
		width := tree.N - start
		if width > 1<<height {
			width = 1 << height
		}
		bundle := tilePath(tlog.Tile{H: height, L: -1, N: start >> height, W: int(width)})
		data, err := os.ReadFile(filepath.Join(directory, bundle))
		if err != nil {
			return 0, err
		}
		indexes := make([]int64, width)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, start+int64(i))
		}
		// Every hash that this gives is proved to be under the signed root.
		proved, err := hashes.ReadHashes(indexes)
		if err != nil {
			return 0, fmt.Errorf("tiles of records %d to %d: %w", start, start+width-1, err)
		}
		for i := range proved {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return 0, fmt.Errorf("%s: record %d is cut short", bundle, start+int64(i))
			}
			length := int(binary.BigEndian.Uint16(data))
			if tlog.RecordHash(data[2:2+length]) != proved[i] {
				return 0, fmt.Errorf("%s: record %d is not the one that was signed for", bundle, start+int64(i))
			}
			data = data[2+length:]
		}
		if len(data) > 0 {
			return 0, fmt.Errorf("%s: %d bytes too many", bundle, len(data))
		}
	}
	return tree.N, nil
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: verifier DIRECTORY VERIFIER_KEY")
		os.Exit(2)
	}
	size, err := verify(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Println("FAIL", err)
		os.Exit(1)
	}
	fmt.Println("OK", size)
}
