class EntriesController < ActionController::Base
  def index
    @entries = Entry.order(id: :desc).limit(20)
  end

  def create
    Entry.create!(text: params.require(:text))
    redirect_to root_path
  end
end
