#!/usr/bin/env bash
# pion/webrtc 3.1.56 (Debian 12): an API of one's own (a codec or a setting is enough) answers no sender report and sends none.
#
# webrtc.NewPeerConnection sends RTCP reports: its round trip and its loss are known to the other side. One would expect
# webrtc.NewAPI(webrtc.WithSettingEngine(...)) to differ in the setting alone, as it brings the default codecs where it is
# given none. But reports, NACK and transport feedback are interceptors, and it has none of those: the other side sees
# neither loss nor round trip of what it sends, for the whole call, and nothing says so. RegisterDefaultInterceptors does it.
#
# Seen (pion/webrtc 3.1.56; a sender of 50 packets a second to such a receiver, 4 s; reports of the receiver that came):
#     by itself: reports came
#     an API with a setting: no report came
#     the same with RegisterDefaultInterceptors: reports came
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
# Debian 12's packages, unpacked beside each other: nothing is installed. A Go that is there already is taken.
packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
  golang-github-pion-webrtc.v3-dev | grep '^golang.*-dev$' | sort -u)
command -v go >/dev/null || packages="$packages golang-1.19-go golang-1.19-src"
# shellcheck disable=SC2086
apt-get -q download $packages >/dev/null
for package in *.deb; do dpkg -x "$package" .; done
[ ! -d usr/lib/go-1.19 ] || export PATH="$folder/usr/lib/go-1.19/bin:$PATH" GOROOT="$folder/usr/lib/go-1.19"
export GOPATH="$folder/go:$folder/usr/share/gocode" GO111MODULE=off GOCACHE="$folder/cache" CGO_ENABLED=0
mkdir -p go/src/finding
cd go/src/finding
printf 'module finding\n\ngo 1.19\n\nrequire github.com/pion/webrtc/v3 v3.1.56\n' >go.mod
cat >main.go <<'GO'
package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v3"
	"github.com/pion/webrtc/v3/pkg/media"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func bare() (*webrtc.PeerConnection, error) { return webrtc.NewPeerConnection(webrtc.Configuration{}) }

func own(with ...func(*webrtc.API)) func() (*webrtc.PeerConnection, error) {
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	codecs := &webrtc.MediaEngine{}
	must(codecs.RegisterDefaultCodecs())
	with = append([]func(*webrtc.API){webrtc.WithMediaEngine(codecs), webrtc.WithSettingEngine(settings)}, with...)
	return func() (*webrtc.PeerConnection, error) { return webrtc.NewAPI(with...).NewPeerConnection(webrtc.Configuration{}) }
}

func registered() func() (*webrtc.PeerConnection, error) {
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	codecs, reports := &webrtc.MediaEngine{}, &interceptor.Registry{}
	must(codecs.RegisterDefaultCodecs())
	must(webrtc.RegisterDefaultInterceptors(codecs, reports))
	api := webrtc.NewAPI(webrtc.WithMediaEngine(codecs), webrtc.WithSettingEngine(settings), webrtc.WithInterceptorRegistry(reports))
	return func() (*webrtc.PeerConnection, error) { return api.NewPeerConnection(webrtc.Configuration{}) }
}

func call(name string, listener func() (*webrtc.PeerConnection, error)) {
	sending, err := registered()()
	must(err)
	listening, err := listener()
	must(err)
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "audio", "a")
	must(err)
	sender, err := sending.AddTrack(track)
	must(err)
	var came int32
	go func() {
		for {
			packets, _, err := sender.ReadRTCP()
			if err != nil {
				return
			}
			for _, packet := range packets {
				if report, is := packet.(*rtcp.ReceiverReport); is && len(report.Reports) > 0 {
					atomic.AddInt32(&came, 1)
				}
			}
		}
	}()
	heard := make(chan bool, 1)
	listening.OnTrack(func(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		heard <- true
		go func() {
			for {
				if _, _, err := receiver.ReadRTCP(); err != nil {
					return
				}
			}
		}()
		for {
			if _, _, err := remote.ReadRTP(); err != nil {
				return
			}
		}
	})
	offer, err := sending.CreateOffer(nil)
	must(err)
	gathered := webrtc.GatheringCompletePromise(sending)
	must(sending.SetLocalDescription(offer))
	<-gathered
	must(listening.SetRemoteDescription(*sending.LocalDescription()))
	answer, err := listening.CreateAnswer(nil)
	must(err)
	gathered = webrtc.GatheringCompletePromise(listening)
	must(listening.SetLocalDescription(answer))
	<-gathered
	must(sending.SetRemoteDescription(*listening.LocalDescription()))
	go func() {
		for track.WriteSample(media.Sample{Data: []byte{0xf8, 0xff, 0xfe}, Duration: 20 * time.Millisecond}) == nil {
			time.Sleep(20 * time.Millisecond)
		}
	}()
	<-heard
	time.Sleep(4 * time.Second)
	if atomic.LoadInt32(&came) > 0 {
		fmt.Println(name + ": reports came")
	} else {
		fmt.Println(name + ": no report came")
	}
	must(sending.Close())
	must(listening.Close())
}

func main() {
	call("by itself", bare)
	call("an API with a setting", own())
	call("the same with RegisterDefaultInterceptors", registered())
}
GO
go run . | tee seen
diff seen - <<'SEEN'
by itself: reports came
an API with a setting: no report came
the same with RegisterDefaultInterceptors: reports came
SEEN
