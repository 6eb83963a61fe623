defmodule Hello do
  @moduledoc "A web server that listens where Piku says, from the standard library alone."

  use Application

  @greeting "Hello from Elixir"

  @impl true
  def start(_type, _arguments) do
    {:ok, address} = :inet.parse_address(to_charlist(System.fetch_env!("BIND_ADDRESS")))
    port = String.to_integer(System.fetch_env!("PORT"))
    options = [:binary, packet: :http_bin, active: false, reuseaddr: true, ip: address]
    {:ok, socket} = :gen_tcp.listen(port, options)
    Task.start_link(fn -> accept(socket) end)
  end

  defp accept(socket) do
    {:ok, client} = :gen_tcp.accept(socket)
    {:ok, task} = Task.start(fn -> answer(client) end)
    :gen_tcp.controlling_process(client, task)
    accept(socket)
  end

  # Nothing in the request matters but its end, an empty line.
  defp answer(client) do
    case :gen_tcp.recv(client, 0) do
      {:ok, :http_eoh} -> :gen_tcp.send(client, response())
      {:ok, _line} -> answer(client)
      {:error, _reason} -> :ok
    end
  end

  defp response do
    body = "#{@greeting} #{System.version()}, release #{System.get_env("PIKU_RELEASE")}\n"

    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" <>
      "Content-Length: #{byte_size(body)}\r\nConnection: close\r\n\r\n" <> body
  end
end
