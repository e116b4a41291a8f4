// Shows requests to the code for Go: reads a case a line, and answers for each whether its code takes it.
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"receiver/codes"
	"receiver/time"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		// The code's number, the second that it is, the body, and the headers.
		words := strings.Split(lines.Text(), " ")
		code, _ := strconv.Atoi(words[0])
		time.Now, _ = strconv.ParseInt(words[1], 10, 64)
		header := http.Header{}
		for _, word := range words[3:] {
			name, value, _ := strings.Cut(word, ":")
			header.Set(name, text(value))
		}
		fmt.Println(codes.Verify(code, header, []byte(text(words[2]))))
	}
}

func text(encoded string) string {
	bytes, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		panic(err)
	}
	return string(bytes)
}
