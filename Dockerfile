# docker build -t kefud --build-arg VERSION="$(git describe --tags --always)" --build-arg COMMIT="$(git rev-parse --short=12 HEAD)" .
# docker run -p 8080:8080 -e SHOP_TOKEN=… kefud

# Built on the machine's own kind of processor, for whichever is asked for.
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
WORKDIR /src
# The modules first: they change less often than the code.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
ARG COMMIT=unknown
ARG TARGETOS
ARG TARGETARCH
RUN GOOS="$TARGETOS" GOARCH="$TARGETARCH" make build BIN=/out/kefud VERSION="$VERSION" COMMIT="$COMMIT" && \
    go run ./internal/licences -texts >/out/NOTICES

# No shell, no package manager; certificates and time zones are in it.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/kefud /kefud
COPY --from=build /out/NOTICES /src/LICENSE /usr/share/doc/kefud/
COPY config.yaml /etc/kefud/config.yaml
USER nonroot
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/kefud", "healthcheck"]
ENTRYPOINT ["/kefud"]
CMD ["serve", "--config", "/etc/kefud/config.yaml"]
