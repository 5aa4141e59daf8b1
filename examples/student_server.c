/* A first web server, as students hand it in: a child for each client. What is wrong with it?
 *
 *     cc -o student_server examples/student_server.c
 *     httpmini lint --spawn './student_server {port} {root}'
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void answer(int client, const char *status, const char *body)
{
    char head[256];
    int length = snprintf(head, sizeof head, "HTTP/1.0 %s\r\nContent-Type: text/html\r\n"
                          "Content-Length: %zu\r\n\r\n", status, strlen(body));
    write(client, head, length);
    write(client, body, strlen(body));
}

static void send_file(int client, const char *path)
{
    struct stat info;
    char head[256], piece[4096];
    ssize_t size;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &info) < 0 || S_ISDIR(info.st_mode)) {
        answer(client, "404 Not Found", "<h1>Not found</h1>\n");
        return;
    }
    int length = snprintf(head, sizeof head, "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n"
                          "Content-Length: %lld\r\n\r\n", (long long)info.st_size);
    write(client, head, length);
    while ((size = read(file, piece, sizeof piece)) > 0)
        write(client, piece, size);
}

static void serve(int client, const char *root)
{
    char request[2048], method[16], target[1024], path[2048];
    ssize_t size = read(client, request, sizeof request - 1);
    if (size <= 0)
        return;
    request[size] = '\0';
    if (sscanf(request, "%15s %1023s", method, target) != 2) {
        answer(client, "400 Bad Request", "<h1>Bad request</h1>\n");
        return;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        answer(client, "501 Not Implemented", "<h1>Not implemented</h1>\n");
        return;
    }
    snprintf(path, sizeof path, "%s%s%s", root, target, strcmp(target, "/") ? "" : "index.html");
    send_file(client, path);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int server = socket(AF_INET, SOCK_STREAM, 0);
    if (argc != 3)
        return 2;
    address.sin_port = htons(atoi(argv[1]));
    if (bind(server, (struct sockaddr *)&address, sizeof address) < 0 || listen(server, 16) < 0) {
        perror("student_server");
        return 1;
    }
    for (;;) {
        int client = accept(server, NULL, NULL);
        if (client >= 0 && fork() == 0) {
            serve(client, argv[2]);
            exit(0);
        }
        close(client);
    }
}
