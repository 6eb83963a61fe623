<?php
// The same for PHP.
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path === '/early') {
    http_response_code(401);
    echo 'who are you?';
} elseif ($path === '/cookies') {
    header('Set-Cookie: all=' . str_repeat('c', (int) $_GET['bytes']));
    echo 'baked';
} elseif ($path === '/events') {
    header('Content-Type: text/event-stream');
    for ($number = 0; $number < (int) $_GET['n']; $number++) {
        if ($number) {
            usleep((int) ($_GET['gap'] * 1000000));
        }
        echo "data: $number\n\n";
        ob_flush();
        flush();
    }
} elseif ($path === '/cut') {
    header('Content-Type: text/plain');
    echo 'begun';
    ob_flush();
    flush();
    usleep(100000);
    posix_kill(getmypid(), SIGKILL);
} else {
    $body = file_get_contents('php://input');
    $headers = ['content-length' => $_SERVER['CONTENT_LENGTH'] ?? ''];
    foreach ($_SERVER as $name => $value) {
        if (str_starts_with($name, 'HTTP_') && $value !== '') {
            $headers[strtolower(str_replace('_', '-', substr($name, 5)))] = $value;
        }
    }
    header('Content-Type: application/json');
    echo json_encode([
        'method' => $_SERVER['REQUEST_METHOD'],
        'target' => $_SERVER['REQUEST_URI'],
        'headers' => $headers,
        'client' => $_SERVER['REMOTE_ADDR'],
        'scheme' => $_SERVER['REQUEST_SCHEME'] ?? '',
        'length' => strlen($body),
        'sha256' => hash('sha256', $body),
    ], JSON_UNESCAPED_SLASHES);
}
