package store

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"kefud/kefu"
)

// Media gives the media_id of an app's copy of a picture of another app, and
// whether one is known.
func (s *Store) Media(ctx context.Context, to kefu.AppID, m kefu.Media) (string, bool, error) {
	var id string
	err := s.do(ctx, "media", s.agents(), func(ctx context.Context) error {
		var err error
		id, err = s.rdb.Get(ctx, s.keys.media(to, m)).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return "", false, nil
	}
	return id, err == nil, err
}

// PutMedia remembers for a time that a picture has a copy, in place of the one
// before; one that has no time left is not kept.
func (s *Store) PutMedia(ctx context.Context, to kefu.AppID, m kefu.Media, id string, ttl time.Duration) error {
	if ttl < time.Millisecond {
		return nil
	}
	return s.do(ctx, "put_media", s.agents(), func(ctx context.Context) error {
		return s.rdb.Set(ctx, s.keys.media(to, m), id, ttl).Err()
	})
}
