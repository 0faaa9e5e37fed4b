// A forwarding server over WHIP and WHEP: what is published under a name is sent on to all who listen to that name.
//
//	POST   /whip/NAME     body an SDP offer; 201 with the answer and a Location, 409 while somebody publishes there
//	POST   /whep/NAME     body an SDP offer; 201 with the answer and a Location, 404 while nobody publishes there
//	DELETE /session/ID    ends either
//	GET    /sessions      how many there are
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v3"
)

const maxOfferBytes = 1 << 20

var opus = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1"}

type refusal struct {
	status int
	why    string
}

func (r refusal) Error() string { return r.why }

// A room: the track of each name that is published, and the connections by their ids.
type room struct {
	api      *webrtc.API
	lock     sync.Mutex
	tracks   map[string]*webrtc.TrackLocalStaticRTP
	sessions map[string]*webrtc.PeerConnection
	count    int
}

func (r *room) open(ended func()) (*webrtc.PeerConnection, string, error) {
	peer, err := r.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, "", err
	}
	r.lock.Lock()
	r.count++
	id := fmt.Sprint(r.count)
	r.sessions[id] = peer
	r.lock.Unlock()
	peer.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateFailed:
			_ = peer.Close()
		case webrtc.PeerConnectionStateClosed:
			ended()
			r.lock.Lock()
			delete(r.sessions, id)
			r.lock.Unlock()
		}
	})
	return peer, id, nil
}

func (r *room) publish(name, offer string) (string, string, error) {
	track, err := webrtc.NewTrackLocalStaticRTP(opus, "audio", name)
	if err != nil {
		return "", "", err
	}
	r.lock.Lock()
	if r.tracks[name] != nil {
		r.lock.Unlock()
		return "", "", refusal{http.StatusConflict, "somebody publishes there"}
	}
	r.tracks[name] = track
	r.lock.Unlock()
	withdraw := func() {
		r.lock.Lock()
		defer r.lock.Unlock()
		if r.tracks[name] == track {
			delete(r.tracks, name)
		}
	}
	peer, id, err := r.open(withdraw)
	if err != nil {
		withdraw()
		return "", "", err
	}
	peer.OnTrack(func(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		go drain(func(buffer []byte) error { _, _, err := receiver.Read(buffer); return err })
		for {
			packet, _, err := remote.ReadRTP()
			if err != nil {
				return
			}
			if err := track.WriteRTP(packet); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				return
			}
		}
	})
	answer, err := describe(peer, offer)
	if err != nil {
		_ = peer.Close()
		withdraw()
	}
	return answer, id, err
}

func (r *room) listen(name, offer string) (string, string, error) {
	r.lock.Lock()
	track := r.tracks[name]
	r.lock.Unlock()
	if track == nil {
		return "", "", refusal{http.StatusNotFound, "nobody publishes there"}
	}
	peer, id, err := r.open(func() {})
	if err != nil {
		return "", "", err
	}
	sender, err := peer.AddTrack(track)
	if err == nil {
		go drain(func(buffer []byte) error { _, _, err := sender.Read(buffer); return err })
		var answer string
		if answer, err = describe(peer, offer); err == nil {
			return answer, id, nil
		}
	}
	_ = peer.Close()
	return "", "", err
}

// RTCP must be read, or the interceptors stall and reports are not answered.
func drain(read func([]byte) error) {
	buffer := make([]byte, 1500)
	for read(buffer) == nil {
	}
}

func describe(peer *webrtc.PeerConnection, offer string) (string, error) {
	if err := peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", refusal{http.StatusBadRequest, err.Error()}
	}
	answer, err := peer.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(peer)
	if err := peer.SetLocalDescription(answer); err != nil {
		return "", err
	}
	<-gathered
	return peer.LocalDescription().SDP, nil
}

func (r *room) taking(action func(name, offer string) (string, string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxOfferBytes))
		if err != nil || request.Method != http.MethodPost {
			http.Error(w, "POST an offer", http.StatusBadRequest)
			return
		}
		answer, id, err := action(request.URL.Path[strings.LastIndex(request.URL.Path, "/")+1:], string(body))
		var refused refusal
		if errors.As(err, &refused) {
			http.Error(w, refused.why, refused.status)
			return
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/sdp")
		w.Header().Set("Location", "/session/"+id)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, answer)
	}
}

func (r *room) end(w http.ResponseWriter, request *http.Request) {
	r.lock.Lock()
	peer := r.sessions[strings.TrimPrefix(request.URL.Path, "/session/")]
	r.lock.Unlock()
	if peer == nil || request.Method != http.MethodDelete {
		http.NotFound(w, request)
		return
	}
	_ = peer.Close()
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address and port of the HTTP server")
	flag.Parse()

	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		log.Fatal(err)
	}
	// Reports are made by interceptors, which an API of one's own has not by itself.
	interceptors := &interceptor.Registry{}
	if err := webrtc.RegisterDefaultInterceptors(media, interceptors); err != nil {
		log.Fatal(err)
	}
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	r := &room{
		api:      webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(interceptors), webrtc.WithSettingEngine(settings)),
		tracks:   map[string]*webrtc.TrackLocalStaticRTP{},
		sessions: map[string]*webrtc.PeerConnection{},
	}
	http.HandleFunc("/whip/", r.taking(r.publish))
	http.HandleFunc("/whep/", r.taking(r.listen))
	http.HandleFunc("/session/", r.end)
	http.HandleFunc("/sessions", func(w http.ResponseWriter, _ *http.Request) {
		r.lock.Lock()
		defer r.lock.Unlock()
		fmt.Fprint(w, len(r.sessions))
	})
	log.Printf("listening on %s", *listen)
	log.Fatal(http.ListenAndServe(*listen, nil))
}
