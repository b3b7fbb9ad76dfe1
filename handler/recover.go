package handler

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// recoverPanic keeps one broken request from ending the process. The router
// catches its own panics, so that a customer still gets a transfer; what is left
// for here is a defect in reading or writing, which WeChat must not show to the
// customer as a fault.
func (h *handler) recoverPanic(c *gin.Context) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		h.Logger.Error().Interface("panic", p).Str("path", c.FullPath()).Msg("request broke")
		if c.FullPath() == callbackPath {
			c.Abort()
			c.String(http.StatusOK, "success")
			return
		}
		c.AbortWithStatus(http.StatusInternalServerError)
	}()
	c.Next()
}
