#pragma once
#include <curl/curl.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Variadic functions, one shim per type of argument. */
static inline CURLcode ccurl_set_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode ccurl_set_text(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode ccurl_set_pointer(CURL *easy, CURLoption option, void *value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode ccurl_get_pointer(CURL *easy, char **value) {
    return curl_easy_getinfo(easy, CURLINFO_PRIVATE, value);
}
static inline CURLcode ccurl_get_socket(CURL *easy, curl_socket_t *socket) {
    return curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, socket);
}
static inline CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}
static inline CURLMcode ccurl_multi_set_callbacks(
    CURLM *multi, curl_socket_callback on_socket, curl_multi_timer_callback on_timer, void *user) {
    CURLMcode code = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    if (!code) code = curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, user);
    if (!code) code = curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    if (!code) code = curl_multi_setopt(multi, CURLMOPT_TIMERDATA, user);
    return code;
}
/* What curl_easy_send and curl_easy_recv do on a connection without TLS, with the count or the
   negative errno as their result. Those two search all connections of the multi handle for the
   handle's own at every call (libcurl 7.88, Curl_getconnectinfo), which is felt from a few dozen
   connections on. */
static inline ssize_t ccurl_plain_send(
    curl_socket_t socket, const void *first, size_t first_count, const void *second,
    size_t second_count) {
    struct iovec pieces[2] = {{(void *)first, first_count}, {(void *)second, second_count}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    ssize_t sent;
    do
        sent = second_count == 0 ? send(socket, first, first_count, MSG_NOSIGNAL)
                                 : sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}
static inline ssize_t ccurl_plain_recv(curl_socket_t socket, void *bytes, size_t count) {
    ssize_t received;
    do received = recv(socket, bytes, count, 0);
    while (received < 0 && errno == EINTR);
    return received < 0 ? -errno : received;
}
static inline int ccurl_is_again(ssize_t result) {
    return result == -EAGAIN || result == -EWOULDBLOCK;
}
/* The finished transfer's handle and result; NULL when there is no message. */
static inline CURL *ccurl_multi_next_done(CURLM *multi, CURLcode *result) {
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(multi, &left)))
        if (message->msg == CURLMSG_DONE) {
            *result = message->data.result;
            return message->easy_handle;
        }
    return NULL;
}
/* Ends the sending direction of a connection that was used already: 0 when that is done, 1 when
   there is no room for it now, -1 when it cannot be done. In TLS it is a close_notify, after which
   bytes can still be received. */
static inline int ccurl_end_writing(CURL *easy, bool is_secure) {
    curl_socket_t socket = CURL_SOCKET_BAD;
    if (!is_secure) {
        curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &socket);
        return socket != CURL_SOCKET_BAD && shutdown(socket, SHUT_WR) == 0 ? 0 : -1;
    }
    struct curl_tlssessioninfo *session = NULL;
    curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &session);
    if (!session || session->backend != CURLSSLBACKEND_OPENSSL || !session->internals) return -1;
    SSL *ssl = session->internals;
    ERR_clear_error();
    int status = SSL_shutdown(ssl);
    int error = status < 0 ? SSL_get_error(ssl, status) : SSL_ERROR_NONE;
    ERR_clear_error();
    return status >= 0 ? 0 : error == SSL_ERROR_WANT_WRITE ? 1 : -1;
}
static inline void ccurl_reset_on_close(CURL *easy) {
    curl_socket_t socket = CURL_SOCKET_BAD;
    struct linger option = {.l_onoff = 1, .l_linger = 0};
    curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &socket);
    if (socket != CURL_SOCKET_BAD)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, sizeof option);
}
