package glacierd

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// An apiError is an answer that is not a success: an HTTP status, one of the
// service's codes, and a message for people. Source of codes and status: Amazon
// Glacier API reference, "Error responses"; of the messages: answers that
// clients have logged.
type apiError struct {
	Status  int
	Code    string
	Message string
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message) }

// answer turns any error into what the client is told.
func answer(err error) *apiError {
	var e *apiError
	if errors.As(err, &e) {
		return e
	}
	return &apiError{http.StatusInternalServerError, "ServiceUnavailableException", err.Error()}
}

func invalid(format string, args ...any) error {
	return &apiError{http.StatusBadRequest, "InvalidParameterValueException", fmt.Sprintf(format, args...)}
}

func missing(what string) error {
	return &apiError{http.StatusBadRequest, "MissingParameterValueException", "Required parameter missing: " + what}
}

func badRequest(format string, args ...any) error {
	return &apiError{http.StatusBadRequest, "BadRequest", fmt.Sprintf(format, args...)}
}

func serialization(format string, args ...any) error {
	return &apiError{http.StatusBadRequest, "SerializationException", fmt.Sprintf(format, args...)}
}

func limitExceeded(format string, args ...any) error {
	return &apiError{http.StatusBadRequest, "LimitExceededException", fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &apiError{http.StatusNotFound, "ResourceNotFoundException", fmt.Sprintf(format, args...)}
}

func denied(format string, args ...any) error {
	return &apiError{http.StatusForbidden, "AccessDeniedException", fmt.Sprintf(format, args...)}
}

func badSignature(format string, args ...any) error {
	return &apiError{http.StatusForbidden, "InvalidSignatureException", fmt.Sprintf(format, args...)}
}

func timedOut() error {
	return &apiError{http.StatusRequestTimeout, "RequestTimeoutException", "Request timed out."}
}

// write sends the error as the service does.
func (e *apiError) write(w http.ResponseWriter) {
	kind := "Client"
	if e.Status >= 500 {
		kind = "Server"
	}
	body, err := json.Marshal(struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Type    string `json:"type"`
	}{e.Code, e.Message, kind})
	if err != nil {
		body = nil // three strings always marshal
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status)
	w.Write(body) // a client that is gone needs no answer
}
