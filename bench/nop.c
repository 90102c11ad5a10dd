/* A FastCGI handler that does nothing, as libfcgi's manual shows it: the most that nginx with
 * this configuration can hand on to processes behind it. */

#include <fcgiapp.h>
#include <stddef.h>

int main(void)
{
    FCGX_Request r;

    FCGX_Init();
    FCGX_InitRequest(&r, 0, 0);
    while (FCGX_Accept_r(&r) == 0) {
        char trash[4096];

        while (FCGX_GetStr(trash, sizeof(trash), r.in) > 0)
            continue;
        FCGX_PutS("Content-Type: application/json\r\nContent-Length: 22\r\n\r\n"
                  "{\"bot_text\":\"Nothing\"}", r.out);
        FCGX_Finish_r(&r);
    }
    return 0;
}
