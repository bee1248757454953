// What a verification service in Go costs that works as knadh/otpgateway v3 does: the same router (chi), the same
// Redis client (go-redis), the same calls in the same order of trips, the same wait for the gateway in a send. It is
// not otpgateway and has none of its code; it does less (no templates, no namespaces, no settings), so what it takes
// is a floor for the original.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"os"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/redis/go-redis/v9"
)

const (
	lifetime    = 5 * time.Minute
	maxAttempts = 5
	digits      = 6
)

// verification is what is kept in a hash, and what is answered.
type verification struct {
	ID       string  `redis:"-" json:"id"`
	To       string  `redis:"to" json:"to"`
	Code     string  `redis:"otp" json:"otp"`
	Provider string  `redis:"provider" json:"provider"`
	Attempts int     `redis:"attempts" json:"attempts"`
	Max      int     `redis:"max_attempts" json:"max_attempts"`
	Closed   bool    `redis:"closed" json:"closed"`
	Seconds  float64 `redis:"-" json:"ttl"`
}

type answer struct {
	Status  string        `json:"status"`
	Message string        `json:"message,omitempty"`
	Data    *verification `json:"data,omitempty"`
}

var errMissing = errors.New("there is no such verification")

type service struct {
	redis   *redis.Client
	gateway string
	http    *http.Client
	secret  []byte
}

func key(id string) string { return "go:shop:" + id }

// read takes two trips: the hash, then its life.
func (s *service) read(ctx context.Context, id string) (verification, error) {
	found := verification{ID: id}
	if err := s.redis.HGetAll(ctx, key(id)).Scan(&found); err != nil {
		return found, err
	}
	if found.Code == "" {
		return found, errMissing
	}
	left, err := s.redis.TTL(ctx, key(id)).Result()
	found.Seconds = left.Seconds()
	return found, err
}

// count takes one trip: the attempt is counted in a transaction that reads the life again.
func (s *service) count(ctx context.Context, v *verification) error {
	pipe := s.redis.TxPipeline()
	attempts := pipe.HIncrBy(ctx, key(v.ID), "attempts", 1)
	left := pipe.TTL(ctx, key(v.ID))
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	v.Attempts, v.Seconds = int(attempts.Val()), left.Val().Seconds()
	return nil
}

// write watches the key, writes in a transaction, and reads what came of it.
func (s *service) write(ctx context.Context, v *verification) error {
	err := s.redis.Watch(ctx, func(tx *redis.Tx) error {
		_, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.HSet(ctx, key(v.ID), "otp", v.Code, "to", v.To, "provider", v.Provider, "closed", false, "max_attempts", v.Max)
			pipe.HIncrBy(ctx, key(v.ID), "sends", 1)
			pipe.HIncrBy(ctx, key(v.ID), "attempts", 0)
			pipe.PExpire(ctx, key(v.ID), lifetime)
			return nil
		})
		return err
	}, key(v.ID))
	if err != nil {
		return err
	}
	return s.redis.HGet(ctx, key(v.ID), "sends").Err()
}

// push waits until the gateway has answered.
func (s *service) push(ctx context.Context, v *verification) error {
	said, err := json.Marshal(v)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.gateway, bytes.NewReader(said))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func (s *service) send(w http.ResponseWriter, r *http.Request) {
	ctx, id := r.Context(), chi.URLParam(r, "id")
	v := verification{ID: id, To: r.FormValue("to"), Code: r.FormValue("otp"), Provider: r.FormValue("provider"), Max: maxAttempts}
	if v.Code == "" {
		v.Code = newCode()
	}
	if old, err := s.read(ctx, id); err == nil && old.Attempts >= old.Max {
		refuse(w, http.StatusTooManyRequests, "too many attempts")
		return
	} else if err != nil && !errors.Is(err, errMissing) {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	if err := s.write(ctx, &v); err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	if err := s.push(ctx, &v); err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	reply(w, http.StatusOK, answer{Status: "success", Data: &v})
}

func (s *service) check(w http.ResponseWriter, r *http.Request) {
	ctx, id, code := r.Context(), chi.URLParam(r, "id"), r.FormValue("otp")
	v, err := s.read(ctx, id)
	if err == nil {
		err = s.count(ctx, &v)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if v.Attempts > v.Max || v.Code != code {
		refuse(w, http.StatusBadRequest, "not the code")
		return
	}
	s.redis.Del(ctx, key(id))
	s.redis.HSet(ctx, key(id), "closed", true)
	v.Closed = true
	reply(w, http.StatusOK, answer{Status: "success", Data: &v})
}

func (s *service) known(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name, secret, ok := r.BasicAuth()
		if !ok || name != "shop" || subtle.ConstantTimeCompare([]byte(secret), s.secret) != 1 {
			refuse(w, http.StatusForbidden, "who are you")
			return
		}
		next(w, r)
	}
}

func newCode() string {
	found := make([]byte, digits)
	for i := range found {
		n, err := rand.Int(rand.Reader, big.NewInt(10))
		if err != nil {
			log.Fatal(err)
		}
		found[i] = '0' + byte(n.Int64())
	}
	return string(found)
}

func refuse(w http.ResponseWriter, status int, why string) {
	reply(w, status, answer{Status: "error", Message: why})
}

func reply(w http.ResponseWriter, status int, said answer) {
	body, err := json.Marshal(said)
	if err != nil {
		log.Fatal(err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func main() {
	options, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	if err != nil {
		log.Fatal(err)
	}
	s := &service{
		redis:   redis.NewClient(options),
		gateway: os.Getenv("GATEWAY_URL"),
		http:    &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		secret:  []byte(os.Getenv("SECRET")),
	}
	router := chi.NewRouter()
	router.Put("/api/otp/{id}", s.known(s.send))
	router.Post("/api/otp/{id}", s.known(s.check))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), router))
}
